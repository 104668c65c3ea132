#include <string.h>
#include <strings.h>

#include "replicator/azure_private.h"

static const struct azure_cloud clouds[] = {
	{ { "AzurePublicCloud", "AzureCloud", "public", "global" },
	    "https://login.microsoftonline.com", "https://management.azure.com",
	    "blob.core.windows.net" },
	{ { "AzureUSGovernmentCloud", "AzureUSGovernment", "US government",
	      "usgovernment" },
	    "https://login.microsoftonline.us",
	    "https://management.usgovcloudapi.net",
	    "blob.core.usgovcloudapi.net" },
	{ { "AzureChinaCloud", "China", "AzureChina", "mooncake" },
	    "https://login.chinacloudapi.cn",
	    "https://management.chinacloudapi.cn",
	    "blob.core.chinacloudapi.cn" },
	{ { "AzureGermanCloud", "German", "Germany", "AzureGermany" },
	    "https://login.microsoftonline.de",
	    "https://management.microsoftazure.de", "blob.core.cloudapi.de" },
};

const struct azure_cloud *
azure_cloud_of(const char *name)
{
	size_t i, j;

	if (name == NULL || name[0] == '\0')
		return &clouds[0];
	for (i = 0; i < sizeof(clouds) / sizeof(clouds[0]); i++)
		for (j = 0; j < 4; j++)
			if (strcasecmp(clouds[i].names[j], name) == 0)
				return &clouds[i];
	return NULL;
}
