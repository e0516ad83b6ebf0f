/* Inside src/mail. */
#ifndef ORLO_MAIL_INT_H
#define ORLO_MAIL_INT_H

#include "mail/mail.h"

void mail_put_base64(struct buf *to, str s); /* RFC 4648 §4 */

#endif
