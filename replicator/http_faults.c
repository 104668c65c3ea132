#include <openssl/x509_vfy.h>

#include <stdio.h>
#include <string.h>

#include "replicator/http_client.h"
#include "replicator/http_private.h"

/* The "host" or "host:port" of a URL, for sentences. */
static void
url_host(const char *url, char *text, size_t room)
{
	const char *at = strstr(url, "://");
	size_t len;

	at = at != NULL ? at + 3 : url;
	len = strcspn(at, "/?#");
	if (len >= room)
		len = room - 1;
	memcpy(text, at, len);
	text[len] = '\0';
}

/* A proxy's URL without its credentials. */
static const char *
proxy_name(const char *proxy)
{
	const char *at = strrchr(proxy, '@');

	return at != NULL ? at + 1 : proxy;
}

static void
certificate_fault(CURL *curl, const char *host, struct http_call *call)
{
	struct fault *f = &call->fault;
	long why = X509_V_OK;

	curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &why);
	switch (why) {
	case X509_V_OK:
	case X509_V_ERR_UNSPECIFIED: /* libcurl's own check, of the name */
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		snprintf(f->code, sizeof(f->code), "CertificateHost");
		fault_set(f, FAULT_PERSON,
		    "The certificate of %s is for another name: use the "
		    "name that it was made for as the endpoint, or have one "
		    "made for this name.",
		    host);
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		snprintf(f->code, sizeof(f->code), "CertificateExpired");
		fault_set(f, FAULT_PERSON,
		    "The certificate of %s has expired: renew it there, or "
		    "set this machine's clock if it is wrong.",
		    host);
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		snprintf(f->code, sizeof(f->code), "CertificateNotYetValid");
		fault_set(f, FAULT_PERSON,
		    "The certificate of %s is not valid yet: set this "
		    "machine's clock if it is behind.",
		    host);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		snprintf(f->code, sizeof(f->code), "CertificateUnknown");
		fault_set(f, FAULT_PERSON,
		    "The certificate of %s is signed by an authority that is "
		    "not trusted here: give that authority's certificate as "
		    "the CA certificate.",
		    host);
		break;
	default:
		snprintf(f->code, sizeof(f->code), "CertificateInvalid");
		fault_set(f, FAULT_PERSON,
		    "The certificate of %s is not accepted: %s.", host,
		    X509_verify_cert_error_string(why));
		break;
	}
}

static void
handshake_fault(const char *host, const char *curl_text, struct http_call *call)
{
	struct fault *f = &call->fault;

	if (strstr(curl_text, "wrong version number") != NULL ||
	    strstr(curl_text, "packet length too long") != NULL)
		fault_set(f, FAULT_PERSON,
		    "%s does not speak TLS at that port: write http:// in "
		    "the endpoint, or give the port that speaks TLS.",
		    host);
	else if (strstr(curl_text, "protocol version") != NULL ||
	    strstr(curl_text, "unsupported protocol") != NULL ||
	    strstr(curl_text, "handshake failure") != NULL)
		fault_set(f, FAULT_PERSON,
		    "%s and this program share no version of TLS: it must "
		    "speak TLS 1.2 or newer.",
		    host);
	else
		fault_set(f, FAULT_RETRY,
		    "The TLS connection to %s was cut while it was made: %s",
		    host, curl_text);
}

/* What the proxy answered to CONNECT. 0 when it was not the proxy. */
static int
proxy_fault(
    CURL *curl, const char *host, const char *proxy, struct http_call *call)
{
	struct fault *f = &call->fault;
	long status = 0;

	if (proxy == NULL)
		return 0;
	curl_easy_getinfo(curl, CURLINFO_HTTP_CONNECTCODE, &status);
	if (status == 0 || status / 100 == 2)
		return 0;
	f->status = (int)status;
	if (status == 407)
		fault_set(f, FAULT_PERSON,
		    "The proxy %s asks for a name and password, or refuses "
		    "those that were given: write them into the proxy's "
		    "address as http://name:password@host:port.",
		    proxy_name(proxy));
	else if (status >= 500)
		fault_set(f, FAULT_RETRY,
		    "The proxy %s cannot reach %s (status %ld).",
		    proxy_name(proxy), host, status);
	else
		fault_set(f, FAULT_PERSON,
		    "The proxy %s refuses connections to %s (status %ld): "
		    "allow that host and port there.",
		    proxy_name(proxy), host, status);
	return 1;
}

static enum http_stage
stage_of(CURLcode code, const struct http_call *call)
{
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return HTTP_RESOLVE;
	case CURLE_COULDNT_CONNECT:
	case CURLE_PROXY:
		return HTTP_CONNECT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_CONNECT_ERROR:
		return HTTP_TLS;
	default:
		break;
	}
	if (call->peer[0] != '\0')
		return HTTP_TALK;
	return call->times.connect_us > 0 ? HTTP_TLS
	    : call->times.resolve_us > 0  ? HTTP_CONNECT
					  : HTTP_RESOLVE;
}

void
http_transport_fault(CURL *curl, CURLcode code, const char *curl_text,
    const char *proxy, struct http_call *call)
{
	struct fault *f = &call->fault;
	char host[200];
	long sys = 0;

	url_host(call->url, host, sizeof(host));
	call->stage = stage_of(code, call);
	if (proxy_fault(curl, host, proxy, call)) {
		call->stage = HTTP_CONNECT;
		return;
	}
	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &sys);
	if (curl_text[0] == '\0')
		curl_text = curl_easy_strerror(code);

	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		fault_set(f, FAULT_RETRY,
		    "The name of %s cannot be resolved: check the endpoint, "
		    "and the DNS of this machine.",
		    host);
		break;
	case CURLE_COULDNT_RESOLVE_PROXY:
		fault_set(f, FAULT_RETRY,
		    "The name of the proxy %s cannot be resolved: check the "
		    "proxy's address, and the DNS of this machine.",
		    proxy != NULL ? proxy_name(proxy) : "");
		break;
	case CURLE_COULDNT_CONNECT:
	case CURLE_PROXY:
		fault_set(f, FAULT_RETRY,
		    "%s%s cannot be connected to (%s): check the address and "
		    "port, firewalls between, and whether a proxy is needed.",
		    proxy != NULL ? "The proxy " : "",
		    proxy != NULL ? proxy_name(proxy) : host,
		    sys != 0 ? strerrordesc_np((int)sys) : curl_text);
		break;
	case CURLE_OPERATION_TIMEDOUT:
		fault_set(f, FAULT_RETRY, "%s did not answer in time: %s", host,
		    curl_text);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		certificate_fault(curl, host, call);
		break;
	case CURLE_SSL_CONNECT_ERROR:
		handshake_fault(host, curl_text, call);
		break;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		fault_set(f, FAULT_PERSON,
		    "The address %s is not one of http:// or https://: "
		    "correct the endpoint.",
		    host);
		break;
	case CURLE_OUT_OF_MEMORY:
		fault_set(f, FAULT_RETRY, "There is no memory for a request.");
		break;
	default:
		fault_set(f, FAULT_RETRY, "The connection to %s broke: %s",
		    host, curl_text);
		break;
	}
}
