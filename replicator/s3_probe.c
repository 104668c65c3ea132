#include "replicator/s3_private.h"

int
s3_probe(void *session, probe_visit *visit, void *arg, struct fault *fault)
{
	(void)session;
	(void)visit;
	(void)arg;
	return fault_set(fault, FAULT_OBJECT, "no probe");
}
