#ifndef CONSOLE_RIGHTS_H
#define CONSOLE_RIGHTS_H

#include <stdint.h>

#include <jansson.h>

struct error;

/* Rights of keys (enum key_right) by their names: read, write, list, delete,
 * admin. */

/* ["read", "write"]; NULL without memory. */
json_t *rights_json(uint8_t rights);
/* NULL: read, write, list and delete. 0, or -1 and *err for an unknown name,
 * and for none. */
int rights_of_json(const json_t *, uint8_t *rights, struct error *err);

#endif
