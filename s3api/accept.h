#ifndef S3API_ACCEPT_H
#define S3API_ACCEPT_H

struct error;
struct http_listener;
struct loop;

/* Listening sockets, and what comes in through them. On the loop's thread, or
 * before it runs. */

/* Makes a listening socket for "host:port", "[host]:port" or "unix:/path". With
 * *port > 0 that port is taken instead; it is set to the port bound. exclusive
 * fails when anything listens there already, as the first loop's must. The
 * descriptor, or -1 and *err. */
int accept_bind(
    const char *address, int *port, int exclusive, struct error *err);
/* A descriptor to give up when there are no more; -1 if there is none. */
int accept_spare(void);
/* Sockets that had to pause for lack of memory go on. */
void accept_resume(struct loop *);
/* Closes the listening sockets, when it has let in who is connected already, if
 * so asked. */
void accept_stop(struct loop *, int let_in);

#endif
