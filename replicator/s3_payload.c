#include "base/encode.h"
#include "replicator/s3_private.h"

void
s3_payload_attach(
    struct s3_session *s, struct payload *p, struct s3_request *req)
{
	char md5[BASE64_BYTES(MD5_BYTES)];

	req->payload = p->sha256;
	req->body_len = p->len;
	if (p->bytes != NULL)
		req->body = p->bytes;
	else {
		req->source = payload_give;
		req->rewind = payload_rewind;
		req->source_arg = p;
	}
	if (atomic_load(&s->shared->can->content_md5) == S3_NO)
		return;
	base64_encode(p->md5, MD5_BYTES, md5);
	s3_header(req, "content-md5", md5);
}

int
s3_payload_send(struct s3_session *s, struct payload *p, struct s3_request *req,
    struct fault *fault)
{
	p->at = 0;
	p->fault = (struct fault)FAULT_INIT;
	if (s3_send(s, req, fault) == 0)
		return 0;
	if (p->fault.kind != FAULT_NONE)
		*fault = p->fault;
	return -1;
}
