#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define HARDEN_SCMP_ARGUMENTS 6

struct harden_scmp_rule {
    uint32_t action;
    int32_t number;
    uint32_t count;
    struct scmp_arg_cmp arguments[HARDEN_SCMP_ARGUMENTS];
};

/* Before 2.6.0 libseccomp writes programs to descriptors only. */
static int64_t harden_scmp_export(scmp_filter_ctx context, void *program, size_t capacity)
{
#if SCMP_VER_MAJOR > 2 || (SCMP_VER_MAJOR == 2 && SCMP_VER_MINOR >= 6)
    size_t length = capacity;
    int error = seccomp_export_bpf_mem(context, program, &length);

    return error ? error : (int64_t)length;
#else
    int fd = memfd_create("harden-filter", MFD_CLOEXEC);
    int64_t done = 0;

    if (fd < 0)
        return -errno;
    int error = seccomp_export_bpf(context, fd);
    off_t length = error ? 0 : lseek(fd, 0, SEEK_END);

    if (!error && length < 0)
        error = -errno;
    if (!error && (size_t)length > capacity)
        error = -ERANGE;
    while (!error && done < length) {
        ssize_t got = pread(fd, (char *)program + done, (size_t)(length - done), done);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            error = got ? -errno : -EIO;
        else
            done += got;
    }
    close(fd);
    return error ? error : done;
#endif
}

static int harden_scmp_fill(scmp_filter_ctx context, const struct harden_scmp_rule *rules, size_t count, size_t *failed)
{
    /* Bad architectures die; a binary tree instead of a list; rules are taken as they are or not at all. */
    int error = seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

    if (!error)
        error = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    for (size_t i = 0; !error && i < count; i++) {
        const struct harden_scmp_rule *rule = &rules[i];

        *failed = i;
        error = rule->count > HARDEN_SCMP_ARGUMENTS
                    ? -EINVAL
                    : seccomp_rule_add_exact_array(context, rule->action, rule->number, rule->count, rule->arguments);
    }
    return error;
}

/*
 * Compile rules for the native architecture. Returns the length of the program in bytes, or a negative errno; *failed is
 * the rule that was refused, or `count` when it was none of them.
 */
static int64_t harden_scmp_compile(uint32_t fallback, const struct harden_scmp_rule *rules, size_t count, void *program,
                                   size_t capacity, size_t *failed)
{
    scmp_filter_ctx context = seccomp_init(fallback);
    int64_t result;

    *failed = count;
    if (!context)
        return -ENOMEM;
    result = harden_scmp_fill(context, rules, count, failed);
    if (!result) {
        *failed = count;
        result = harden_scmp_export(context, program, capacity);
    }
    seccomp_release(context);
    return result;
}
