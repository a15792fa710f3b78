/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The context: errors, memory, locking.  Part of libnetmap.h.
 */
#ifndef _NET_NMCTX_H_
#define _NET_NMCTX_H_

#define NM_CTX_ERRSIZE	1024

static inline void
nmctx_print(struct nmctx *ctx, const char *text)
{
	(void)ctx;
	fprintf(stderr, "%s\n", text);
}

static inline void *
nmctx_plain_malloc(struct nmctx *ctx, size_t size)
{
	(void)ctx;
	return malloc(size);
}

static inline void
nmctx_plain_free(struct nmctx *ctx, void *p)
{
	(void)ctx;
	free(p);
}

/* Weak: one of each per program, however many files include this. */
__attribute__((weak)) pthread_mutex_t nmctx_mutex = PTHREAD_MUTEX_INITIALIZER;

static inline void
nmctx_mutex_lock(struct nmctx *ctx, int lock)
{
	(void)ctx;
	if (lock)
		pthread_mutex_lock(&nmctx_mutex);
	else
		pthread_mutex_unlock(&nmctx_mutex);
}

/* Several threads may open and close ports at once; offset is disabled at first. */
__attribute__((weak)) struct nmctx nmctx_global = {
	1, nmctx_print, nmctx_plain_malloc, nmctx_plain_free, nmctx_mutex_lock, NULL, 0x8
};
__attribute__((weak)) struct nmctx *nmctx_default = &nmctx_global;

/* The context of ports that are opened from now on. */
static inline struct nmctx *
nmctx_get(void)
{
	return nmctx_default;
}

static inline void
nmctx_set_default(struct nmctx *ctx)
{
	nmctx_default = ctx;
}

/* It is, from the start; programs call this all the same. */
static inline void
nmctx_set_threadsafe(void)
{
	nmctx_global.lock = nmctx_mutex_lock;
}

static inline void
nmctx_lock(struct nmctx *ctx)
{
	if (ctx->lock)
		ctx->lock(ctx, 1);
}

static inline void
nmctx_unlock(struct nmctx *ctx)
{
	if (ctx->lock)
		ctx->lock(ctx, 0);
}

/* Zeroed. */
static inline void *
nmctx_malloc(struct nmctx *ctx, size_t size)
{
	void *p = ctx->malloc(ctx, size);

	if (p)
		memset(p, 0, size);
	else
		errno = ENOMEM;
	return p;
}

static inline void
nmctx_free(struct nmctx *ctx, void *p)
{
	ctx->free(ctx, p);
}

/* Report an error; errno stays as it is. */
__attribute__((format(printf, 2, 3))) static inline void
nmctx_ferror(struct nmctx *ctx, const char *fmt, ...)
{
	char text[NM_CTX_ERRSIZE];
	int saved = errno;
	va_list ap;

	if (ctx->verbose) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		ctx->error(ctx, text);
	}
	errno = saved;
}

/* A name that cannot be parsed. */
__attribute__((format(printf, 2, 3))) static inline int
nmctx_einval(struct nmctx *ctx, const char *fmt, ...)
{
	char text[NM_CTX_ERRSIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	nmctx_ferror(ctx, "%s", text);
	errno = EINVAL;
	return -1;
}

#endif /* _NET_NMCTX_H_ */
