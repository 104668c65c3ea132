#ifndef CLI_CERTIFICATE_H
#define CLI_CERTIFICATE_H

struct arguments;
struct error;
struct tls_context;

/* The TLS certificate that --tls-cert and --tls-key, or --tls-self-signed, ask
 * for; *tls NULL: none. The CA of a self-signed one is printed. In the data
 * directory, which is there. 0, or -1 and *err. */
int certificate_open(
    const struct arguments *, struct tls_context **tls, struct error *err);

/* Reads it again if it has changed (or if force), renewing a self-signed one
 * that runs out. Logs what came of it. */
void certificate_refresh(
    const struct arguments *, struct tls_context *, int force);

/* Days left, for metrics: a struct tls_context. */
long certificate_days(void *tls);

#endif
