/* row_errors.c - see row_errors.h. */
#include "optimizer/row_errors.h"

#include <math.h>

void moments_add(moments *m, double value)
{
    m->n++;
    const double delta = value - m->mean;
    m->mean += delta / (double)m->n;
    m->m2 += delta * (value - m->mean);
}

double moments_mean(const moments *m)
{
    return m->n > 0 ? m->mean : NAN;
}

double moments_standard_error(const moments *m)
{
    return m->n > 1 ? sqrt(m->m2 / (double)(m->n - 1) / (double)m->n) : NAN;
}

void row_errors_add(row_errors *e, size_t n, const float *row, const float *reference)
{
    double dot = 0, square = 0, reference_square = 0, error_square = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double x = (double)row[i], r = (double)reference[i], error = x - r;
        sum += fabs(error);
        e->largest = fmax(e->largest, fabs(error));
        error_square += error * error;
        dot += x * r;
        square += x * x;
        reference_square += r * r;
    }
    moments_add(&e->abs_error, n > 0 ? sum / (double)n : 0);
    /* Two zero vectors agree; a zero vector has no direction in common with any other. */
    const double norms = sqrt(square) * sqrt(reference_square);
    moments_add(&e->cosine, norms == 0 ? (square == reference_square ? 1 : 0) : dot / norms);
    const double before = e->error_square.mean;
    moments_add(&e->error_square, error_square);
    moments_add(&e->reference_square, reference_square);
    e->covariance += (error_square - before) * (reference_square - e->reference_square.mean);
}

/* The ratio of two means, q = a / b, errs as the mean of (a_i - q b_i) / b does (the delta method: q's first
 * derivatives); its root errs by 1 / (2 sqrt(q)) of that. */
static double relative_l2_error(const row_errors *e)
{
    const double n = (double)e->error_square.n, a = e->error_square.mean, b = e->reference_square.mean, q = a / b;
    const double squares = e->error_square.m2 - 2 * q * e->covariance + q * q * e->reference_square.m2;
    return sqrt((squares < 0 ? 0 : squares) / (n - 1) / n) / b / (2 * sqrt(q)); /* below 0: only by rounding */
}

void row_errors_finish(const row_errors *e, ciuic_distance *distance)
{
    const double a = moments_mean(&e->error_square), b = moments_mean(&e->reference_square);
    const bool spread = e->error_square.n > 1;
    *distance = (ciuic_distance){
        /* 0/0 is two rows of zeros: no error. x/0 is an error without a scale: infinite. */
        .relative_l2 = a == 0 ? 0 : sqrt(a / b),
        .relative_l2_error = !spread || (a > 0 && b == 0) ? NAN
                             : a == 0                     ? 0
                                                          : relative_l2_error(e),
        .cosine = moments_mean(&e->cosine),
        .cosine_error = moments_standard_error(&e->cosine),
        .mean_abs_error = moments_mean(&e->abs_error),
        .mean_abs_error_error = moments_standard_error(&e->abs_error),
    };
}
