"""The data: archive in, filtered pictures out, on disk and in S3."""

from scones_ops.data.dataset import Dataset, Picture, Source, load_dataset
from scones_ops.data.prepare import prepare_dataset
from scones_ops.data.staging import stage_dataset

__all__ = ["Dataset", "Picture", "Source", "load_dataset", "prepare_dataset", "stage_dataset"]
