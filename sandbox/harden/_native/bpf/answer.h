/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What name servers answer (RFC 1035), for names beside the addresses that are connected to. One answer per program and
 * question is kept. It is what somebody on the network says: evidence for a person, nothing is decided by it.
 */
#ifndef HARDEN_ANSWER_H
#define HARDEN_ANSWER_H

#include "calls.h"

#define DNS_HEADER 12
#define DNS_IS_ANSWER 0x80
#define DNS_QUESTION_TAIL 4 /* type and class */
#define LABEL_MAX 63
#define LABELS 128
#define ANSWER_MAX 1024

struct labels {
	__u32 at;
	__u32 is_whole;
};

/* struct user_msghdr, as far as it is needed, and its first struct iovec. */
struct answer_message {
	__u64 name;
	__u32 name_length;
	__u32 padding;
	__u64 parts;
};

struct answer_part {
	__u64 base;
	__u64 length;
};

static long next_label(__u32 index, struct labels *labels)
{
	struct scratch *scratch = scratch_of(CALL_SLOT);
	__u32 at = labels->at;
	__u8 length;

	if (!scratch || at >= ANSWER_MAX)
		return 1;
	length = scratch->text[bounded(at)];
	labels->is_whole = !length;
	/* Bounded, so that the verifier finds two rounds alike and does not follow all of them. */
	labels->at = bounded(at + length + 1);
	return !length || length > LABEL_MAX;
}

/* Where the only question ends; 0 for what is no answer to one question. */
static __always_inline __u32 end_of_question(struct scratch *scratch, __u32 length)
{
	struct labels labels = {.at = DNS_HEADER};

	if (!(scratch->text[2] & DNS_IS_ANSWER) || scratch->text[4] || scratch->text[5] != 1)
		return 0;
	bpf_loop(LABELS, next_label, &labels, 0);
	if (!labels.is_whole || labels.at + DNS_QUESTION_TAIL > length)
		return 0;
	return labels.at + DNS_QUESTION_TAIL;
}

/* Whether the peer of a socket, or the sender at `address` in the program's memory (0: none), is a name server. */
static __always_inline bool is_name_server(int fd, __u64 address)
{
	struct file *file = file_of(fd);
	__u16 family, port = 0;
	struct socket *socket;
	struct sock *sock;

	if (!file || (mode_of(file) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sock = BPF_CORE_READ(socket, sk);
	family = BPF_CORE_READ(sock, __sk_common.skc_family);
	if (family != AF_INET && family != AF_INET6)
		return 0;
	port = BPF_CORE_READ(sock, __sk_common.skc_dport);
	if (!port && address)
		bpf_probe_read_user(&port, sizeof(port), (void *)(address + 2));
	return port == NAME_SERVER_PORT;
}

__noinline int keep_answer(__u64 buffer, __u64 size, __u32 executable, __u32 nr)
{
	__u32 length = size > ANSWER_MAX ? ANSWER_MAX : size, end;
	struct scratch *scratch = scratch_of(CALL_SLOT);
	struct event *event = &scratch->event;

	if (!scratch)
		return 0;
	clear_event(scratch);
	__builtin_memset(scratch->text, 0, DNS_HEADER);
	/* What comes behind it is not of this answer. */
	if (length > DNS_HEADER && bpf_probe_read_user(scratch->text, length, (void *)buffer))
		return 0;
	end = end_of_question(scratch, length);
	if (!end)
		return 0;
	event->kind = EVENT_ANSWER;
	event->key.executable = executable;
	event->key.nr = nr;
	event->key.hash = text_hash(CALL_SLOT, DNS_HEADER, end - DNS_HEADER, config.seed);
	event->length[SEGMENT_STRING] = length;
	if (is_new(CALL_SLOT))
		send(CALL_SLOT, length);
	return 0;
}

__noinline int see_answer(struct call *call)
{
	const volatile struct call_row *row;
	struct answer_message message = {};
	struct answer_part part = {};

	if (!call)
		return 0;
	row = &config.calls[row_of(call->nr)];
	part.length = call->result;
	if (row->also == ALSO_ANSWER) {
		part.base = pick(call, row->also_at);
		message.name = pick(call, row->also_flags);
	} else {
		if (bpf_probe_read_user(&message, sizeof(message), (void *)pick(call, row->also_at)) ||
		    bpf_probe_read_user(&part, sizeof(part), (void *)message.parts))
			return 0;
		if (part.length > (__u64)call->result)
			part.length = call->result;
	}
	if (!is_name_server(call->arguments[0], message.name))
		return 0;
	return keep_answer(part.base, part.length, call->executable, call->nr);
}

#endif
