"""The rows that one model is trained and tested on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ("Fold",)


class Fold(NamedTuple):
    """Rows to train on, and rows to test with.

    Attributes
    ----------
    X : ndarray of float64, shape (n_train, n_features)
        Features of the rows that are trained on.
    y : ndarray of int64, shape (n_train,)
        Their labels, 0 to the number of classes less one.
    X_test : ndarray of float64, shape (n_test, n_features)
        Features of the rows that are tested: all distinct, and none was trained on.
    y_test : ndarray of int64, shape (n_test,)
        Their labels.
    """

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    X_test: NDArray[np.float64]
    y_test: NDArray[np.int64]
