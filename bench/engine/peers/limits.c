/* What the machine can do, measured as the peers are: FMA peak, a product's inner loop and memory streams, AVX2, one thread. */
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

/* 12 independent chains hide the latency of two FMA units. */
static void fma_peak(long rounds) {
  __m256 acc[12], x = _mm256_set1_ps(0.999f), y = _mm256_set1_ps(0.001f);
  for (int i = 0; i < 12; i++) acc[i] = _mm256_set1_ps(i * 0.1f);
  for (long k = 0; k < rounds; k++)
    for (int i = 0; i < 12; i++) __asm__("vfmadd213ps %2, %1, %0" : "+x"(acc[i]) : "x"(x), "x"(y));
  __asm__ volatile("" ::"x"(acc[0]), "x"(acc[5]), "x"(acc[11]));
  for (int i = 0; i < 12; i++) __asm__ volatile("" ::"x"(acc[i]));
}

/* Products at their best: 6 x 16 tiles over k = 256, both operands in L1 and packed as wanted; nothing but the tiles' inner loop. */
static void tiles(const float *a, const float *b, long count) {
  for (long t = 0; t < count; t++) {
    __m256 c[6][2];
    for (int i = 0; i < 6; i++) c[i][0] = c[i][1] = _mm256_setzero_ps();
#pragma GCC unroll 8
    for (int k = 0; k < 256; k++) {
      __m256 b0 = _mm256_load_ps(b + 16 * k), b1 = _mm256_load_ps(b + 16 * k + 8);
#pragma GCC unroll 6
      for (int i = 0; i < 6; i++) {
        __m256 x = _mm256_broadcast_ss(a + 6 * k + i);
        c[i][0] = _mm256_fmadd_ps(x, b0, c[i][0]);
        c[i][1] = _mm256_fmadd_ps(x, b1, c[i][1]);
      }
    }
    for (int i = 0; i < 6; i++) __asm__ volatile("" ::"x"(c[i][0]), "x"(c[i][1]));
  }
}

/* relu(x * s + b): one stream in, one out. */
static void elementwise(const float *x, float *y, long n) {
  __m256 s = _mm256_set1_ps(1.5f), b = _mm256_set1_ps(0.25f), zero = _mm256_setzero_ps();
  for (long i = 0; i + 32 <= n; i += 32)
    for (int u = 0; u < 32; u += 8)
      _mm256_storeu_ps(y + i + u, _mm256_max_ps(_mm256_fmadd_ps(_mm256_loadu_ps(x + i + u), s, b), zero));
}

/* Adam: p, g, m, v in; p, m, v out. */
static void adam(float *p, const float *g, float *m, float *v, long n) {
  __m256 b1 = _mm256_set1_ps(0.9f), c1 = _mm256_set1_ps(0.1f), b2 = _mm256_set1_ps(0.999f), c2 = _mm256_set1_ps(0.001f);
  __m256 lr = _mm256_set1_ps(1e-3f), eps = _mm256_set1_ps(1e-8f);
  for (long i = 0; i + 8 <= n; i += 8) {
    __m256 G = _mm256_loadu_ps(g + i);
    __m256 M = _mm256_fmadd_ps(_mm256_loadu_ps(m + i), b1, _mm256_mul_ps(c1, G));
    __m256 V = _mm256_fmadd_ps(_mm256_loadu_ps(v + i), b2, _mm256_mul_ps(c2, _mm256_mul_ps(G, G)));
    _mm256_storeu_ps(m + i, M);
    _mm256_storeu_ps(v + i, V);
    __m256 step = _mm256_div_ps(_mm256_mul_ps(lr, M), _mm256_add_ps(_mm256_sqrt_ps(V), eps));
    _mm256_storeu_ps(p + i, _mm256_sub_ps(_mm256_loadu_ps(p + i), step));
  }
}

static float *floats(long n) {
  float *a = aligned_alloc(64, ((n * 4 + 63) / 64) * 64);
  for (long i = 0; i < n; i++) a[i] = (float)(i % 97) / 97.0f;
  return a;
}

/* One request a line: "WORK SIZE SECONDS"; one line of seconds per call in answer. */
int main(void) {
  char work[32];
  long n;
  double seconds;
  while (scanf("%31s %ld %lf", work, &n, &seconds) == 3) {
    long size = strcmp(work, "tiles") ? n : 16 * 256;
    float *a = floats(size), *b = floats(size), *c = floats(size), *d = floats(size);
    double stop = now() + seconds;
    for (int i = 0; i < 2000 && (i < 5 || now() < stop); i++) {
      double start = now();
      if (!strcmp(work, "fma")) fma_peak(n);
      else if (!strcmp(work, "tiles")) tiles(a, b, n);
      else if (!strcmp(work, "adam")) adam(a, b, c, d, n);
      else elementwise(a, b, n);
      printf("%.9f ", now() - start);
    }
    printf("\n");
    fflush(stdout);
    free(a); free(b); free(c); free(d);
  }
  return 0;
}
