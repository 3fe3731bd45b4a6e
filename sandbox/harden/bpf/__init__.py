"""Classic BPF for seccomp: the decisions that a profile means, the compiled filter, and the proof that they agree."""
