#include <stddef.h>
#include <stdint.h>

#include "answers.h"

/* Azure's headers and XML, by an account's key ('k'); Entra's tokens and the
 * resource manager's keys, by a client's secret ('t'). */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct destination_fields fields = { .provider = PROVIDER_AZURE,
		.endpoint = "http://127.0.0.1:1/account",
		.storage_account = "account",
		.bucket = "container",
		.path = "p" };

	if (len > 1 && bytes[1] == 't') {
		fields.tenant_id = "01234567-0123-0123-0123-0123456789ab";
		fields.client_id = "01234567-0123-0123-0123-0123456789ac";
		fields.client_secret = "secret";
		fields.subscription_id = "01234567-0123-0123-0123-0123456789ad";
		fields.resource_group = "group";
		fields.token_endpoint = "http://127.0.0.1:2";
		fields.management_endpoint = "http://127.0.0.1:3";
	} else
		fields.account_key = "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5";
	fuzz_operation(&destination_azure, &fields, bytes, len);
	return 0;
}
