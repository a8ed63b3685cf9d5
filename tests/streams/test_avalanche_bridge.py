"""Both bridges to Avalanche, over real benchmarks that need no download."""

import numpy as np
import pytest
import torch
from PIL import Image

from continual_dml.embedding.preprocessing import centre_crop, normalised
from continual_dml.errors import StreamError
from continual_dml.records import Experience, ImageRecord, LabelledImages, LoadedTask, Role
from streams.avalanche_bridge import as_avalanche_benchmark, from_avalanche, labelled_images
from streams.experiences import experience_from_task, stream_from_tasks

from avalanche.benchmarks import nc_benchmark, tensors_benchmark  # isort: skip - after the bridge's guard
from torchvision.datasets import FakeData  # isort: skip
from torchvision.transforms import v2  # isort: skip

CPU = torch.device("cpu")


def squares(labels: list[int], side: int = 18, seed: int = 0) -> LabelledImages:
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), side, side, 3)).astype(np.uint8)
    return LabelledImages(pixels, np.array(labels, dtype=np.int64))


def two_experiences() -> list[Experience]:
    return [
        Experience("first", squares([3, 3, 7]), squares([7, 3], seed=1)),
        Experience("second", squares([9, 1, 1, 9], seed=2), squares([1], seed=3)),
    ]


def test_our_experiences_become_two_streams_of_labelled_network_inputs() -> None:
    ours = two_experiences()
    benchmark = as_avalanche_benchmark(ours, 16)
    for experience, train, test in zip(ours, benchmark.train_stream, benchmark.test_stream, strict=True):
        for images, given in ((experience.train, train), (experience.query, test)):
            items = [given.dataset[row] for row in range(len(given.dataset))]
            expected = normalised(centre_crop(images.pixels, 16), CPU)
            assert torch.equal(torch.stack([item[0] for item in items]), expected)
            assert [item[1:] for item in items] == [[int(label), 0] for label in images.labels]
            assert list(given.dataset.targets) == images.labels.tolist()
            assert given.task_labels == [0]


def test_experiences_know_which_classes_they_hold_and_which_came_before() -> None:
    first, second = as_avalanche_benchmark(two_experiences(), 16).train_stream
    assert set(first.classes_in_this_experience) == {3, 7}
    assert set(second.classes_in_this_experience) == {1, 9}
    assert set(second.previous_classes) == {3, 7}
    assert (first.current_experience, second.current_experience) == (0, 1)
    assert second.origin_stream.name == "train"


def test_a_round_trip_gives_back_the_very_pixels_labels_and_order() -> None:
    ours = two_experiences()
    benchmark = as_avalanche_benchmark(ours, 16)
    back = from_avalanche(benchmark.train_stream, 18, benchmark.test_stream)
    for sent, returned in zip(ours, back, strict=True):
        for before, after in ((sent.train, returned.train), (sent.query, returned.query)):
            assert np.array_equal(before.pixels, after.pixels)
            assert after.labels.tolist() == before.labels.tolist()
            assert after.labels.dtype == np.int64


def test_a_subset_of_our_dataset_still_gives_its_stored_squares() -> None:
    ours = two_experiences()
    dataset = as_avalanche_benchmark(ours, 16).train_stream[1].dataset.subset([2, 0])
    assert np.array_equal(labelled_images(dataset, 18).pixels, ours[1].train.pixels[[2, 0]])


def test_an_experience_without_queries_makes_an_empty_test_experience_and_comes_back() -> None:
    benchmark = as_avalanche_benchmark([Experience("only", squares([0, 1]), squares([]))], 16)
    (back,) = from_avalanche(benchmark.train_stream, 18, benchmark.test_stream)
    assert back.query.pixels.shape == (0, 18, 18, 3)
    assert len(benchmark.test_stream[0].dataset) == 0


def test_squares_smaller_than_the_network_view_are_refused() -> None:
    with pytest.raises(StreamError, match="task 'first': squares of 18 px cannot show 32 px"):
        as_avalanche_benchmark(two_experiences(), 32)
    with pytest.raises(StreamError, match="at least one experience"):
        as_avalanche_benchmark([], 16)


def fake_photos(transform: object = None) -> FakeData:
    data = FakeData(size=24, image_size=(3, 20, 30), num_classes=4, transform=transform)
    data.targets = [int(data[row][1]) for row in range(len(data))]
    return data


def test_a_real_benchmark_of_photos_becomes_experiences_with_its_own_class_order() -> None:
    photos = fake_photos()
    benchmark = nc_benchmark(photos, photos, 2, task_labels=False, fixed_class_order=[2, 0, 3, 1])
    back = from_avalanche(benchmark.train_stream, 20, benchmark.test_stream)
    assert [sorted(set(experience.train.labels.tolist())) for experience in back] == [[0, 2], [1, 3]]
    assert sum(len(experience.train) for experience in back) == len(photos)
    assert back[0].query.pixels.shape[1:] == (20, 20, 3)
    row = next(row for row, label in enumerate(photos.targets) if label in (0, 2))
    middle = np.asarray(photos[row][0])[:, 5:25]  # photos are 30 px wide and 20 high
    assert any(np.array_equal(middle, square) for square in back[0].train.pixels)


def test_training_augmentation_of_a_benchmark_is_left_out() -> None:
    photos = fake_photos()
    benchmark = nc_benchmark(
        photos, photos, 1, task_labels=False, train_transform=v2.RandomInvert(p=1.0), eval_transform=None
    )
    (plain,) = from_avalanche(benchmark.test_stream[0], 20)
    (trained,) = from_avalanche(benchmark.train_stream[0], 20)
    assert np.array_equal(np.sort(plain.train.pixels, axis=0), np.sort(trained.train.pixels, axis=0))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("as_float", [False, True])
def test_grey_and_colour_tensors_of_either_kind_become_rgb_squares(channels: int, as_float: bool) -> None:
    whole = torch.randint(0, 256, (6, channels, 18, 18), dtype=torch.uint8)
    given = whole / 255 if as_float else whole
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    benchmark = tensors_benchmark(
        train_tensors=[(given, labels)], test_tensors=[(given, labels)], task_labels=[0]
    )
    (back,) = from_avalanche(benchmark.train_stream, 18)
    assert np.array_equal(back.train.pixels, whole.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy())
    assert back.train.labels.tolist() == labels.tolist()
    assert len(back.query) == 0


def test_images_are_resized_to_the_stored_square() -> None:
    data = [(Image.new("L", (40, 20), 128), 5), (torch.full((28, 28), 0.5), torch.tensor(6))]
    images = labelled_images(data, 18)
    assert images.pixels.shape == (2, 18, 18, 3)
    assert images.labels.tolist() == [5, 6]
    assert (images.pixels == 128).all()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.linspace(-2, 2, 3 * 16).reshape(3, 4, 4), "values from -2 to 2 .* without Normalize"),
        (torch.full((3, 4, 4), torch.nan), "without Normalize"),
        (torch.zeros(784), r"shape \(784,\)"),
        (torch.zeros(4, 5, 5), r"1 or 3 channels"),
        (torch.zeros((3, 4, 4), dtype=torch.int64), "torch.int64; pixels are uint8"),
        ([1, 2], "is a list"),
    ],
)
def test_what_is_no_plain_image_is_refused_with_a_way_out(image: object, message: str) -> None:
    with pytest.raises(StreamError, match=f"image 1 of the dataset .*{message}"):
        labelled_images([(Image.new("RGB", (4, 4)), 0), (image, 0)], 18)


def test_a_normalised_benchmark_is_refused() -> None:
    photos = fake_photos()
    transform = v2.Compose(
        [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    )
    benchmark = nc_benchmark(
        photos, photos, 2, task_labels=False, train_transform=transform, eval_transform=transform
    )
    with pytest.raises(StreamError, match="without Normalize"):
        from_avalanche(benchmark.train_stream, 18)


def test_streams_of_different_lengths_are_refused() -> None:
    benchmark = as_avalanche_benchmark(two_experiences(), 16)
    with pytest.raises(StreamError, match="2 training experiences but 1"):
        from_avalanche(benchmark.train_stream, 18, benchmark.test_stream[0])


def task(name: str, items: list[tuple[str, Role]], seed: int) -> LoadedTask:
    records = tuple(
        ImageRecord(f"/{name}/{row}", f"{seed}-{row}", category, role, 1)
        for row, (category, role) in enumerate(items)
    )
    return LoadedTask(name, f"/{name}", records, squares([0] * len(items), seed=seed).pixels)


def test_task_folders_become_experiences_with_global_ids_in_order_of_appearance() -> None:
    cats = task("cats", [("tabby", Role.GALLERY), ("manx", Role.QUERY), ("tabby", Role.QUERY)], seed=5)
    dogs = task("dogs", [("boxer", Role.GALLERY), ("manx", Role.GALLERY)], seed=6)
    first, second = stream_from_tasks([cats, dogs])
    assert (first.name, second.name) == ("cats", "dogs")
    assert first.train.labels.tolist() == [0]
    assert first.query.labels.tolist() == [1, 0]
    assert second.train.labels.tolist() == [2, 1]
    assert np.array_equal(first.query.pixels, cats.pixels[[1, 2]])
    assert second.query.pixels.shape == (0, 18, 18, 3)


def test_a_category_without_an_id_is_named() -> None:
    with pytest.raises(StreamError, match="task 'cats': category 'manx' has no id"):
        experience_from_task(task("cats", [("manx", Role.GALLERY)], seed=0), {"tabby": 0})
