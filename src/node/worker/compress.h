/* compress: what a worker's answers are compressed with, and which of them are: a filter (net/filter.h) of an exchange over an encoder (coding). What it holds
 * is paid for by the app before it is made, the processor time that it takes is the app's, and a turn of the loop has a slice of it and no more. */
#ifndef ORLO_NODE_COMPRESS_H
#define ORLO_NODE_COMPRESS_H

#include "coding/coding.h"
#include "net/filter.h"

struct node_request;
/* Its answer goes through an encoder, if it is worth it. */
void node_compress_begin(struct node_request *r);
void node_compress_forget(struct node_request *r); /* its exchange is over */

#endif
