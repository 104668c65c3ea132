#ifndef CLI_CREDENTIALS_H
#define CLI_CREDENTIALS_H

struct arguments;
struct error;

/*
 * The administrator's key pair: from the environment or the configuration file,
 * from a credentials file, or made at the first start and kept in the data
 * directory. The files have the form of AWS's (and of Velero's secret):
 *
 *     [default]
 *     aws_access_key_id = NAME
 *     aws_secret_access_key = SECRET
 */

#define ACCESS_KEY_MAX_BYTES 128
#define SECRET_KEY_MAX_BYTES 1024

struct credentials {
	char access_key[ACCESS_KEY_MAX_BYTES + 1];
	char secret[SECRET_KEY_MAX_BYTES + 1];
	int made; /* just now: to be shown, once */
};

/* From the options access-key, secret-key, credentials-file and data, in the
 * data directory, which is there. 0, or -1 and *err. */
int credentials_find(
    const struct arguments *, struct credentials *, struct error *err);
void credentials_wipe(struct credentials *);

#endif
