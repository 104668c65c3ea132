#ifndef CLI_DESTINATION_OPTIONS_H
#define CLI_DESTINATION_OPTIONS_H

/*
 * The options of a destination, one a field, named as the fields are, for the
 * tables of cli/commands.c. cli/destinations.c turns them into the control
 * API's members: dashes become underscores.
 */

#define FIELD_TEXT(name, argument, help) \
	{ \
		(name), (argument), OPTION_TEXT, 0, NULL, NULL, 0, 0, (help) \
	}
#define FIELD_FLAG(name, help) \
	{ \
		(name), NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0, (help) \
	}
/* Also from the environment, or from a file or standard input. */
#define FIELD_SECRET(name, argument, help) \
	{ (name), (argument), OPTION_TEXT, OPTION_SETTING, NULL, NULL, 0, 0, \
		(help) }, \
	{ \
		name "-file", "FILE", OPTION_TEXT, 0, NULL, NULL, 0, 0, \
		    "Reads it from a file, or from standard input (-), so " \
		    "that it stands in no list of processes." \
	}
#define FIELD_HIDDEN(name) \
	{ \
		(name), "TEXT", OPTION_TEXT, OPTION_HIDDEN, NULL, NULL, 0, 0, \
		    "For tests and private clouds." \
	}

#define DESTINATION_FIELDS \
	{ "provider", "PROVIDER", OPTION_CHOICE, 0, NULL, \
		"aws|google|azure|s3", 0, 0, "aws, google, azure or s3." }, \
	    FIELD_TEXT("region", "REGION", \
		"Of AWS, or the store's own name " \
		"for one."), \
	    FIELD_TEXT("endpoint", "URL", \
		"Where an S3-compatible store is: https://host:port."), \
	    FIELD_TEXT("bucket", "BUCKET", \
		"The bucket there; with Azure, the container."), \
	    FIELD_TEXT("path", "PATH", \
		"The prefix in that bucket below which everything goes."), \
	    FIELD_TEXT("access-key-id", "ID", "AWS and S3: the access key."), \
	    FIELD_SECRET( \
		"secret-access-key", "SECRET", "AWS and S3: its secret."), \
	    FIELD_SECRET("session-token", "TOKEN", \
		"AWS and S3: of temporary credentials."), \
	    FIELD_FLAG("use-instance-role", \
		"Takes the credentials that the instance or pod was given."), \
	    { "service-account-json", "FILE", OPTION_TEXT, 0, NULL, NULL, 0, \
		    0, "Google: the service account's key, a JSON file." }, \
	    FIELD_TEXT("service-account", "EMAIL", \
		"Google: the service account of the instance role."), \
	    FIELD_TEXT("resource-group", "NAME", \
		"Azure: the storage account's resource group."), \
	    FIELD_TEXT( \
		"storage-account", "NAME", "Azure: the storage account."), \
	    FIELD_TEXT("subscription-id", "ID", "Azure: its subscription."), \
	    FIELD_TEXT("tenant-id", "ID", "Azure: the tenant."), \
	    FIELD_TEXT("client-id", "ID", "Azure: the application."), \
	    FIELD_SECRET("client-secret", "SECRET", "Azure: its secret."), \
	    FIELD_SECRET("account-key", "KEY", \
		"Azure: the storage account's key, instead of an " \
		"application."), \
	    FIELD_SECRET("sas-token", "TOKEN", \
		"Azure: a shared access signature, instead of an " \
		"application."), \
	    FIELD_TEXT("cloud-name", "NAME", \
		"Azure: AzurePublicCloud, AzureUSGovernmentCloud, " \
		"AzureChinaCloud or AzureGermanCloud."), \
	    { "ca-cert", "FILE", OPTION_TEXT, 0, NULL, NULL, 0, 0, \
		    "CA certificates (PEM) that are trusted beside the " \
		    "system's." }, \
	    FIELD_SECRET("proxy", "URL", \
		"An HTTP proxy: http://user:password@host:port."), \
	    FIELD_TEXT("storage-class", "CLASS", \
		"The storage class of what is sent."), \
	    FIELD_TEXT("sse", "KIND", "AWS: AES256 or aws:kms."), \
	    FIELD_TEXT("sse-kms-key-id", "KEY", "AWS: the key of aws:kms."), \
	    FIELD_FLAG("sse-bucket-key", "AWS: saves calls to KMS."), \
	    FIELD_TEXT( \
		"kms-key-name", "NAME", "Google: a customer-managed key."), \
	    FIELD_HIDDEN("metadata-endpoint"), FIELD_HIDDEN("sts-endpoint"), \
	    FIELD_HIDDEN("token-endpoint"), \
	    FIELD_HIDDEN("management-endpoint"), FIELD_HIDDEN("resolve"), \
	    FIELD_TEXT("source-bucket", "BUCKET", \
		"Sends this bucket alone, its names directly below the path. " \
		"Without it, every bucket goes, each below its name."), \
	    FIELD_TEXT("include", "PREFIXES", \
		"Sends only names that begin with one of these: " \
		"BUCKET/PREFIX, separated by commas."), \
	    { "exclude", "PREFIXES", OPTION_TEXT, OPTION_OPTIONAL, NULL, NULL, \
		    0, 0, \
		    "Does not send names that begin with one of these; with " \
		    "an empty text, all are sent. Without it, restic's lock " \
		    "files stay at home." }, \
	    { "bytes-per-second", "SIZE", OPTION_SIZE, 0, NULL, NULL, 0, 0, \
		    "The most that is sent; 0: no limit." }, \
	    { "concurrency", "N", OPTION_NUMBER, 0, NULL, NULL, 0, 200, \
		    "Requests at once; 64 without it, or with 0." }, \
	    FIELD_TEXT("window", "SPAN", \
		"When to send: \"22:00-06:00 Europe/Berlin\"."), \
	    { "delete-delay", "TIME", OPTION_DURATION, 0, NULL, NULL, 0, 0, \
		    "How long what is deleted here stays there." }, \
	{ \
		"brake-percent", "N", OPTION_NUMBER, 0, NULL, NULL, 0, 100, \
		    "The share of objects that may be deleted within an hour " \
		    "before it pauses and asks; 30 without it, or with 0. " \
		    "100: never." \
	}

#endif
