"""How long a training will still take, judged by what it took of late."""

from __future__ import annotations

from collections import deque

# So many calls into TensorFlow tell the pace: enough to be steady, few enough to follow the machine's load.
WINDOW = 100
# To read an image costs about a third of learning from it, which goes through the network forward and back.
# After the first epoch, what it took is known.
VALIDATION_COST = 0.3


class Pace:
    """The pace of one training. What happens once, such as compiling, is never reported here."""

    def __init__(self, images: int, validation_images: int, epochs: int) -> None:
        """`images` are learnt from in each of `epochs`, and then `validation_images` read."""
        self._images = images
        self._validation_images = validation_images
        self._epochs = epochs
        self._learnt: deque[tuple[int, float]] = deque(maxlen=WINDOW)
        self._other_s: float | None = None

    def learnt(self, images: int, seconds: float) -> None:
        """A call learnt from so many images in so many seconds."""
        self._learnt.append((images, seconds))

    def other(self, seconds: float) -> None:
        """An epoch took so long beside its learning: to validate, to save, to tell, to wait for digits."""
        self._other_s = seconds

    def remaining_s(self, epoch: int, seen: int) -> float | None:
        """The seconds until the last epoch has ended, after `seen` images of `epoch` (from 1).

        None while nothing is known.
        """
        learnt = sum(images for images, _ in self._learnt)
        if not learnt:
            return None
        image_s = sum(seconds for _, seconds in self._learnt) / learnt
        other_s = self._other_s
        if other_s is None:
            other_s = VALIDATION_COST * self._validation_images * image_s
        epochs_left = self._epochs - epoch
        return (self._images - seen) * image_s + other_s + epochs_left * (self._images * image_s + other_s)
