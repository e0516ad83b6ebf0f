/* Of api_apps.c, for deployments. */
#ifndef ORLO_NODE_CONTROL_API_APPS_H
#define ORLO_NODE_CONTROL_API_APPS_H

#include "app/record.h"

struct api_call;
struct control;
struct control_who *node_api_who(struct api_call *call); /* of its memory */
/* Where the node's visitors reach an app; in out. */
str node_api_app_url(arena *out, const struct control *c, const struct app_record *r);

#endif
