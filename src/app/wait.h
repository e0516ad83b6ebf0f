/* wait: a question about what an app keeps, asked for a guest that waits for the answer. */
#ifndef ORLO_APP_WAIT_H
#define ORLO_APP_WAIT_H

#include "app/data.h"
#include "host/host.h"

/* What was answered; values and strings are the call's memory. */
struct app_reply {
    enum app_data_outcome outcome;
    str text;
    const struct app_value *values;
    uint32_t count;
};
/* Puts what was answered into a function's result. about: what app_wait got. */
typedef void (*app_fill)(struct host_call *call, const struct app_reply *reply, void *about, void *result);

/* Asks for the guest, waits, and fills in the result: on its fiber, or in a call that pends (an async function's). data NULL: nobody answers. about is an
 * object of which a reference is held meanwhile, or NULL. */
[[nodiscard]] enum abi_trap app_wait(struct host_call *call, struct app_data *data, const struct app_question *q, app_fill fill,
                                     void *about, void *result);
/* What a refusal means to a person. */
str app_reply_text(const struct app_reply *reply);

#endif
