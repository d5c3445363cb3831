"""The inner loops of the placement replay, compiled with numba.

Arrays over instances have one row an instance in order of registration; `remaining` has the columns of
`dimensions.DIMENSIONS`. Random choice uses a splitmix64 state in `rng[0]`, so a seed fixes every choice.
"""

from __future__ import annotations

import numba
import numpy as np

RANDOM, BINPACK, SPREAD = 0, 1, 2


@numba.njit(cache=True)
def next_random(rng, below):  # type: ignore[no-untyped-def]
    """A whole number in [0, below); splitmix64 (Steele, Lea, Flood 2014)."""
    rng[0] += np.uint64(0x9E3779B97F4A7C15)
    z = rng[0]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return np.int64((z >> np.uint64(11)) % np.uint64(below))


@numba.njit(cache=True)
def candidates_with_room(need, remaining, allowed, blocked, count, distinct, found):  # type: ignore[no-untyped-def]
    """Steps 1 and 2: resources, then ports and constraints. Fills `found`; returns how many fit."""
    size = 0
    for i in range(remaining.shape[0]):
        if not allowed[i] or blocked[i] or (distinct and count[i] > 0):
            continue
        fits = True
        for r in range(need.shape[0]):
            if need[r] > 0 and remaining[i, r] < need[r]:
                fits = False
                break
        if fits:
            found[size] = i
            size += 1
    return size


@numba.njit(cache=True)
def keep_best(kind, field, sign, remaining, count, groups, tally, found, size, rng):  # type: ignore[no-untyped-def]
    """Step 3: narrow `found` to the instances one strategy rule likes best.

    `sign` is 1 to place and -1 to stop: a placement wants the least remaining and the emptiest group, a
    scale-in the most remaining and the fullest group. `tally` is all zero before and after.
    """
    if kind == RANDOM:
        found[0] = found[next_random(rng, size)]
        return 1
    if kind == SPREAD:
        for i in range(remaining.shape[0]):
            if count[i] > 0:
                tally[groups[field, i]] += count[i]
    best = np.int64(0)
    kept = 0
    for k in range(size):
        i = found[k]
        score = sign * (remaining[i, field] if kind == BINPACK else tally[groups[field, i]])
        if kept == 0 or score < best:
            best = score
            kept = 0
        if score == best:
            found[kept] = i
            kept += 1
    if kind == SPREAD:
        for i in range(remaining.shape[0]):
            tally[groups[field, i]] = 0
    return kept


@numba.njit(cache=True)
def choose(need, remaining, allowed, blocked, count, distinct, rules, groups, tally, found, rng):  # type: ignore[no-untyped-def]
    """The instance ECS would start the task on, or -1."""
    size = candidates_with_room(need, remaining, allowed, blocked, count, distinct, found)
    if size == 0:
        return -1
    for k in range(rules.shape[0]):
        if size == 1:
            break
        size = keep_best(rules[k, 0], rules[k, 1], 1, remaining, count, groups, tally, found, size, rng)
    return found[0] if size == 1 else found[next_random(rng, size)]


@numba.njit(cache=True)
def choose_to_stop(remaining, count, rules, groups, tally, found, rng):  # type: ignore[no-untyped-def]
    """The instance whose task of the service ECS would stop on scale-in, or -1."""
    size = 0
    for i in range(count.shape[0]):
        if count[i] > 0:
            found[size] = i
            size += 1
    if size == 0:
        return -1
    for k in range(rules.shape[0]):
        if size == 1:
            break
        size = keep_best(rules[k, 0], rules[k, 1], -1, remaining, count, groups, tally, found, size, rng)
    return found[0] if size == 1 else found[next_random(rng, size)]


@numba.njit(cache=True)
def place_sequence(  # type: ignore[no-untyped-def]
    sequence, needs, distinct, ports, remaining, allowed, port_taken, counts, rules, groups, tally, found, rng
):
    """Place one task after another; returns the instance of each, -1 where nothing had room.

    `sequence` names a service a task; `ports[s]` lists its host ports' columns in `port_taken`, padded with
    -1; `counts[s, i]` and `remaining` are updated in place. Room only shrinks here, so a service that was
    refused once stays refused.
    """
    chosen = np.full(sequence.shape[0], -1, np.int64)
    refused = np.zeros(needs.shape[0], np.bool_)
    blocked = np.zeros(remaining.shape[0], np.bool_)
    for t in range(sequence.shape[0]):
        s = sequence[t]
        if refused[s]:
            continue
        with_ports = ports.shape[1] > 0 and ports[s, 0] >= 0
        if with_ports:
            for i in range(remaining.shape[0]):
                blocked[i] = False
                for p in range(ports.shape[1]):
                    if ports[s, p] >= 0 and port_taken[i, ports[s, p]]:
                        blocked[i] = True
        i = choose(
            needs[s], remaining, allowed[s], blocked, counts[s], distinct[s], rules, groups, tally, found, rng
        )
        if with_ports:
            blocked[:] = False
        if i < 0:
            refused[s] = True
            continue
        chosen[t] = i
        counts[s, i] += 1
        for r in range(needs.shape[1]):
            remaining[i, r] -= needs[s, r]
        for p in range(ports.shape[1]):
            if ports[s, p] >= 0:
                port_taken[i, ports[s, p]] = True
    return chosen
