/*
 * Telling a service manager how we are, as sd_notify(3) describes: one datagram to the socket
 * that $NOTIFY_SOCKET names. Without that variable nothing happens.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

/*
 * Looks for the manager, and takes the variable out of the environment: our children shall not
 * speak in our name.
 */
void notify_begin(void);

/* Sends state, lines such as "READY=1" or "STATUS=..." parted by newlines. Never blocks. */
void notify_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Lets go of the manager. */
void notify_end(void);

#endif
