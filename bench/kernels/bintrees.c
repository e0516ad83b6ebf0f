/* Binary trees made, walked and freed: malloc and recursion. */
#include <stdio.h>
#include <stdlib.h>

struct tree {
    struct tree *left, *right;
};
static struct tree *make(int depth) {
    struct tree *t = malloc(sizeof *t);
    t->left = depth ? make(depth - 1) : NULL;
    t->right = depth ? make(depth - 1) : NULL;
    return t;
}
static int check(const struct tree *t) { return t->left ? 1 + check(t->left) + check(t->right) : 1; }
static void drop(struct tree *t) {
    if (t->left) drop(t->left), drop(t->right);
    free(t);
}

int main(void) {
    int total = 0;
    for (int depth = 4; depth <= 16; depth += 2)
        for (int i = 0; i < 1 << (21 - depth); i++) {
            struct tree *t = make(depth);
            total += check(t);
            drop(t);
        }
    printf("%d\n", total);
}
