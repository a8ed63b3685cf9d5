"""One exact sentence per number of a comparison, to be printed beside it."""

from __future__ import annotations

from collections.abc import Mapping

from continual_dml.metrics.forgetting import DEFINITIONS

COMPARISON_DEFINITIONS: Mapping[str, str] = {
    **{name: DEFINITIONS[name] for name in ("recall_at_k", "map_at_r", "merged", "within_task")},
    "group": (
        "Group alone: the published incremental protocol; each task's test images are searched among "
        "themselves, an image never finding itself."
    ),
    **{name: DEFINITIONS[name] for name in ("average", "forgetting")},
    "unseen": (
        "Unseen: Recall@K of images of categories not trained on so far, searched among themselves; mean "
        "over the stages of the stream where there are such categories."
    ),
    "best_test_epoch": (
        "Best test epoch: the highest unseen Recall@1 of the trained head after any pass over the images; "
        "chosen on the test itself and so optimistic, to stand beside published numbers chosen in this way."
    ),
    "nmi": (
        "NMI: normalised mutual information of k-means clusters and categories, as many clusters as "
        "categories; mean over the stages measured."
    ),
    "gallery": (
        "Re-embedded: the gallery images of old tasks are embedded anew by the newest network; projected: no "
        "old image is opened, what is stored of it is carried forward by the drift map; sdc: the same by "
        "semantic drift compensation."
    ),
    "replays": (
        "Replays: the method trains on images of earlier tasks; it breaks the no-replay rule and is a "
        "reference, not a competitor."
    ),
    "spread": "±: sample standard deviation over seeds; there is none with one seed.",
    "difference": (
        "Difference: mean over the seeds that both methods ran, with its 95 % interval: Student's t below 10 "
        "seeds (wide, because few seeds know little), percentile bootstrap over seeds from 10 on. The "
        "interval speaks of other seeds on this stream, not of other streams."
    ),
    "gap_closed": (
        "Gap closed: (method - frozen) / (joint - frozen) in merged Recall@1, frozen network and joint "
        "training both with statistics head and re-embedded gallery, per seed and then averaged; 0 is as "
        "good as frozen, 1 as good as joint."
    ),
    "seconds": "Seconds: wall-clock time of learning and of measuring; peak memory of the whole process.",
    "bytes": (
        "Statistics: bytes remembered about classes instead of images; kept images: bytes of images that a "
        "replaying method keeps."
    ),
    "members": (
        "Members: Recall@1 of the networks of a cohort alone; the best one is picked by its test score and "
        "therefore optimistic, the mean is not."
    ),
}
