/* operation_class.h - the classes of operations that counts are split by, and which class a function belongs to. */
#ifndef CIUIC_OPERATION_CLASS_H
#define CIUIC_OPERATION_CLASS_H

typedef enum operation_class {
    OPERATION_MATMUL,      /* products with weights, those of experts among them */
    OPERATION_QUANTISE,    /* activations, as they come, for these products */
    OPERATION_ATTENTION,   /* scores, weighing values, reading and writing the cache */
    OPERATION_ELEMENTWISE, /* norms, activation functions, sums, rotation */
    OPERATION_ROUTING,     /* choosing experts, gathering their tokens and combining what they say */
    OPERATION_OTHER,       /* the runtime itself, and libraries such as libm, which do not say for whom */
    OPERATION_CLASSES
} operation_class;

/* "matmul", "activation quantisation", "attention", "norm and elementwise", "routing", "other". */
const char *operation_class_name(operation_class c);

/* By the name of a function of kernels/ or optimizer/runtime/, as a symbol table has it ("matmul_int4_avx2",
 * "score.constprop.0"); any other name is "other". */
operation_class operation_class_of(const char *function);

#endif
