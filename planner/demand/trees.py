"""Gradient-boosted quantile trees, evaluated with numpy.

The trees are trained by LightGBM (Ke et al. 2017) and kept as plain arrays, so that a forecast needs
neither LightGBM nor its seconds of import. A row goes left where its value is at or below the threshold;
features hold no NaN (planner.demand.features).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from planner.demand.smoothing import Array

ROWS_AT_ONCE = 256
"""Few enough for the tables of one step down the trees to stay in the processor's cache."""
BUNDLE = "quantile_trees.npz"


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees of one quantile. Arrays are (trees, nodes); a child below 0 is leaf `-child - 1`."""

    feature: Array
    threshold: Array
    left: Array
    right: Array
    leaf: Array
    depth: int

    def predict(self, features: Array) -> Array:
        """Sum over trees for each row of (n, columns)."""
        walk = self._walk()
        parts = [walk.sums(features[at : at + ROWS_AT_ONCE]) for at in range(0, len(features), ROWS_AT_ONCE)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _walk(self) -> _Walk:
        """The same trees with every node of all of them in one row: inner nodes first, then leaves.

        A leaf leads to itself, so that all rows go down to the full depth without being told apart.
        """
        trees, nodes = self.feature.shape
        inner, leaves = trees * nodes, trees * self.leaf.shape[1]
        tree = np.arange(trees)[:, None]

        def target(child: Array) -> Array:
            at_leaf = inner + tree * self.leaf.shape[1] - child - 1
            return np.ravel(np.where(child < 0, at_leaf, tree * nodes + child))

        itself = np.arange(inner, inner + leaves)
        left = np.concatenate([target(self.left), itself])
        right = np.concatenate([target(self.right), itself])
        return _Walk(
            np.concatenate([self.feature.ravel(), np.zeros(leaves)]).astype(np.int32),
            np.concatenate([self.threshold.ravel(), np.zeros(leaves)]),
            np.column_stack([right, left]).ravel().astype(np.int32),
            np.concatenate([np.zeros(inner), self.leaf.ravel()]),
            (tree.ravel() * nodes).astype(np.int32),
            self.depth,
        )


@dataclass(frozen=True, slots=True)
class _Walk:
    """`child[2 * node + went_left]`; `root` (trees)."""

    feature: Array
    threshold: Array
    child: Array
    leaf: Array
    root: Array
    depth: int

    def sums(self, features: Array) -> Array:
        flat = np.ascontiguousarray(features).ravel()
        start = (np.arange(len(features), dtype=np.int32) * features.shape[1])[:, None]
        node = np.broadcast_to(self.root, (len(features), len(self.root)))
        for _ in range(self.depth):
            value = flat.take(start + self.feature.take(node))
            node = self.child.take(2 * node + (value <= self.threshold.take(node)))
        return np.asarray(self.leaf.take(node).sum(axis=1))


def from_lightgbm(model: Any) -> Forest:
    """Arrays of a trained lightgbm.Booster (numerical splits only)."""
    trees = [tree["tree_structure"] for tree in model.dump_model()["tree_info"]]
    flat = [_flatten(tree) for tree in trees]
    nodes = max(1, *(len(tree["feature"]) for tree in flat))
    leaves = max(len(tree["leaf"]) for tree in flat)

    def table(name: str, width: int, kind: Any) -> Array:
        filled = np.zeros((len(flat), width), dtype=kind)
        for row, tree in enumerate(flat):
            filled[row, : len(tree[name])] = tree[name]
        return filled

    left, right = table("left", nodes, np.int16), table("right", nodes, np.int16)
    for row, tree in enumerate(flat):
        if not tree["feature"]:  # a tree of one leaf
            left[row, 0] = right[row, 0] = -1
    return Forest(
        table("feature", nodes, np.int16),
        table("threshold", nodes, np.float64),
        left,
        right,
        table("leaf", leaves, np.float64),
        max(1, *(_depth(tree) for tree in trees)),
    )


def _flatten(tree: dict[str, Any]) -> dict[str, list[Any]]:
    flat: dict[str, list[Any]] = {"feature": [], "threshold": [], "left": [], "right": [], "leaf": []}

    def add(node: dict[str, Any]) -> int:
        if "split_feature" not in node:
            flat["leaf"].append(node["leaf_value"])
            return -len(flat["leaf"])
        place = len(flat["feature"])
        flat["feature"].append(node["split_feature"])
        flat["threshold"].append(node["threshold"])
        flat["left"].append(0)
        flat["right"].append(0)
        flat["left"][place] = add(node["left_child"])
        flat["right"][place] = add(node["right_child"])
        return place

    add(tree)
    return flat


def _depth(node: dict[str, Any]) -> int:
    if "split_feature" not in node:
        return 0
    return 1 + max(_depth(node["left_child"]), _depth(node["right_child"]))


def save(forests: dict[float, Forest], path: str) -> None:
    """Write forests by quantile as one compressed file (thresholds and leaves in single precision)."""
    arrays: dict[str, Any] = {"quantiles": np.array(sorted(forests))}
    for place, quantile in enumerate(sorted(forests)):
        forest = forests[quantile]
        arrays[f"feature_{place}"] = forest.feature
        arrays[f"threshold_{place}"] = forest.threshold.astype(np.float32)
        arrays[f"left_{place}"], arrays[f"right_{place}"] = forest.left, forest.right
        arrays[f"leaf_{place}"] = forest.leaf.astype(np.float32)
        arrays[f"depth_{place}"] = np.array(forest.depth)
    np.savez_compressed(path, **arrays)


@cache
def bundled() -> dict[float, Forest]:
    """The forests that come with the planner, by quantile."""
    with resources.as_file(resources.files("planner.demand") / "data" / BUNDLE) as path:
        arrays = np.load(path)
    return {
        float(quantile): Forest(
            arrays[f"feature_{place}"],
            arrays[f"threshold_{place}"].astype(float),
            arrays[f"left_{place}"],
            arrays[f"right_{place}"],
            arrays[f"leaf_{place}"].astype(float),
            int(arrays[f"depth_{place}"]),
        )
        for place, quantile in enumerate(arrays["quantiles"])
    }
