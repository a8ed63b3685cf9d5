"""Miniature trees of each data set's layout, read as the real ones are."""

import numpy as np
import pytest
from scipy.io import savemat

from continual_dml.errors import StreamError
from continual_dml.settings import StreamSettings
from streams.named.catalogue import open_stream

SETTINGS = StreamSettings(decode_threads=2)


@pytest.fixture
def picture(save_image):
    """Save a picture that no other one of the test equals."""
    saved = []

    def picture(path):
        saved.append(path)
        return save_image(path, len(saved), size=8)

    return picture


@pytest.fixture
def read(listener, tmp_path):
    def read(name, sizes, location=tmp_path, seed=0):
        return open_stream(name, location=location, side_pixels=8, seed=seed, settings=SETTINGS,
                           listener=listener, sizes=sizes)  # fmt: skip

    return read


def shape(stream):
    """Categories, training and query images of each task, and categories and images unseen."""
    tasks = [(len(set(t.train.labels.tolist())), len(t.train), len(t.query)) for t in stream.tasks]
    unseen = stream.unseen
    return tasks, (0, 0) if unseen is None else (len(set(unseen.labels.tolist())), len(unseen))


def check_labels(stream):
    """Labels count from 0 without gaps, and tasks and unseen categories are apart from each other."""
    parts = [set(task.train.labels.tolist()) for task in stream.tasks]
    for task, part in zip(stream.tasks, parts, strict=True):
        assert set(task.query.labels.tolist()) <= part
    if stream.unseen is not None:
        parts.append(set(stream.unseen.labels.tolist()))
    everything = [label for part in parts for label in part]
    assert sorted(everything) == list(range(len(everything)))


def bird_tree(root, picture, classes=4, each=5):
    names = [f"{n:03d}.Bird_{n}" for n in range(1, classes + 1)]
    images = [f"{name}/{i}.jpg" for name in names for i in range(each)]
    for image in images:
        picture(root / "images" / image)
    listed = list(enumerate(images, 1))
    (root / "classes.txt").write_text("".join(f"{n} {name}\n" for n, name in enumerate(names, 1)))
    (root / "images.txt").write_text("".join(f"{n} {image}\n" for n, image in listed))
    labels = "".join(f"{n} {names.index(image.split('/')[0]) + 1}\n" for n, image in listed)
    (root / "image_class_labels.txt").write_text(labels)


def test_birds_in_halves_and_task_by_task(tmp_path, picture, read):
    bird_tree(tmp_path / "CUB_200_2011", picture)
    halves, tasks = read("cub-zero-shot", [2]), read("cub-incremental", [3, 1])
    assert shape(halves) == ([(2, 10, 0)], (2, 10))
    assert shape(tasks) == ([(3, 9, 6), (1, 3, 2)], (0, 0))
    check_labels(halves)
    check_labels(tasks)


def test_a_part_of_the_birds_is_refused_without_sizes(tmp_path, picture, read):
    bird_tree(tmp_path, picture)
    with pytest.raises(StreamError, match=r"2 categories, the published split has 100; .* task sizes"):
        read("cub-zero-shot", None)
    with pytest.raises(StreamError, match="200"):
        read("cub-incremental", None)


def test_an_image_without_a_class_is_named(tmp_path, picture, read):
    bird_tree(tmp_path, picture)
    (tmp_path / "image_class_labels.txt").write_text("1 1\n")
    with pytest.raises(StreamError, match=r"image 2 of images.txt has no class"):
        read("cub-zero-shot", [2])


def annotations(names, classes, field):
    entries = np.zeros((1, len(names)), dtype=[(field, object), ("class", object)])
    for column, (name, number) in enumerate(zip(names, classes, strict=True)):
        entries[0, column] = (name, number)
    return {"annotations": entries}


def test_cars_by_one_annotation_file_a_table_or_the_devkit(tmp_path, picture, read):
    names = [f"car_ims/{n:06d}.jpg" for n in range(1, 9)]
    classes = [1, 1, 2, 2, 3, 3, 4, 4]
    one, table, devkit = (tmp_path / name for name in ("one", "table", "devkit"))
    for name in names:
        picture(one / name)
        picture(table / name)
    savemat(one / "cars_annos.mat", annotations(names, classes, "relative_im_path"))
    lines = [f"{name},{number}\n" for name, number in zip(names, classes, strict=True)]
    (table / "cars_annos.csv").write_text("path,class\n" + "".join(lines))
    (devkit / "devkit").mkdir(parents=True)
    for half, mat in (("cars_train", "cars_train_annos"), ("cars_test", "cars_test_annos_withlabels")):
        short = [f"{n:05d}.jpg" for n in range(1, 5)]
        for name in short:
            picture(devkit / half / name)
        savemat(devkit / "devkit" / f"{mat}.mat", annotations(short, [1, 2, 3, 4], "fname"))
    for root in (one, table, devkit):
        halves, tasks = read("cars-zero-shot", [2], root), read("cars-incremental", [2, 2], root)
        assert shape(halves) == ([(2, 4, 0)], (2, 4))
        assert shape(tasks) == ([(2, 2, 2), (2, 2, 2)], (0, 0))
        check_labels(halves)


def test_damaged_and_foreign_annotations_are_named(tmp_path, read):
    (tmp_path / "cars_annos.mat").write_bytes(b"no matrix")
    with pytest.raises(StreamError, match="not a readable MATLAB file"):
        read("cars-zero-shot", [1])
    savemat(tmp_path / "cars_annos.mat", {"other": 1})
    with pytest.raises(StreamError, match="has no variable 'annotations'"):
        read("cars-zero-shot", [1])
    savemat(tmp_path / "cars_annos.mat", annotations(["a.jpg"], [1], "name"))
    with pytest.raises(StreamError, match="no fields 'class' and 'relative_im_path'"):
        read("cars-zero-shot", [1])


def test_online_products(tmp_path, picture, read):
    root = tmp_path / "Stanford_Online_Products"
    for name, products in (("train", (1, 2, 3)), ("test", (4, 5))):
        paths = [(product, f"chair_final/{product}_{i}.JPG") for product in products for i in range(2)]
        for _, path in paths:
            picture(root / path)
        lines = [f"{n} {product} 1 {path}\n" for n, (product, path) in enumerate(paths, 1)]
        (root / f"Ebay_{name}.txt").write_text("image_id class_id super_class_id path\n" + "".join(lines))
    stream = read("sop-zero-shot", [2])
    assert shape(stream) == ([(2, 4, 0)], (2, 4))


def clothes_tree(root, picture, last_part="gallery"):
    items = {"train": ("id_1", "id_2"), "query": ("id_3",), last_part: ("id_3",)}
    rows = [(f"img/WOMEN/{item}/{part}{i}.jpg", item, part)
            for part, own in items.items() for item in own for i in range(2)]  # fmt: skip
    for path, _, _ in rows:
        picture(root / path)
    head = f"{len(rows)}\nimage_name item_id evaluation_status\n"
    (root / "Eval").mkdir(exist_ok=True)
    (root / "Eval" / "list_eval_partition.txt").write_text(
        head + "".join("  ".join(row) + "\n" for row in rows)
    )


def test_in_shop_clothes(tmp_path, picture, read):
    clothes_tree(tmp_path, picture)
    stream = read("in-shop", [2])
    assert shape(stream) == ([(2, 4, 0)], (1, 4))
    assert stream.unseen_asks.tolist() == [True, True, False, False], "query images against the gallery alone"


def test_an_unknown_part_of_the_clothes_is_named(tmp_path, picture, read):
    clothes_tree(tmp_path, picture, "attic")
    with pytest.raises(StreamError, match="part 'attic' is none of train, query, gallery"):
        read("in-shop", [2])


@pytest.mark.parametrize(("name", "separator"), [("list.csv", ","), ("list.tsv", "\t"), ("list.txt", " ")])
def test_a_text_list_of_images(tmp_path, picture, read, name, separator):
    rows = [("path", "category", "split")]
    for category, splits in {"a": "train train query", "b": "train test", "c": "validation query"}.items():
        for number, split in enumerate(splits.split()):
            rows.append((f"images/{category}{number}.png", category, split))
            picture(tmp_path / rows[-1][0])
    (tmp_path / name).write_text("".join(separator.join(row) + "\n" for row in rows))
    for location in (tmp_path, tmp_path / name):
        stream = read("deepfashion2-list", None, location)
        assert shape(stream) == ([(2, 3, 2)], (1, 2))
        check_labels(stream)


def test_flowers(tmp_path, picture, read):
    root = tmp_path / "flowers-102"
    for number in range(1, 9):
        picture(root / "jpg" / f"image_{number:05d}.jpg")
    savemat(root / "imagelabels.mat", {"labels": np.array([[1, 1, 1, 1, 2, 2, 2, 2]], dtype=np.uint8)})
    savemat(root / "setid.mat", {"trnid": [[1, 5]], "valid": [[2, 6]], "tstid": [[3, 4, 7, 8]]})
    stream = read("flowers102", [1, 1])
    assert shape(stream) == ([(1, 2, 2), (1, 2, 2)], (0, 0))
    check_labels(stream)
    savemat(root / "setid.mat", {"trnid": [[1, 5]], "valid": [[2, 6]], "tstid": [[9, 4]]})
    with pytest.raises(StreamError, match="setid.mat names images"):
        read("flowers102", [1, 1])


def test_pets(tmp_path, picture, read):
    (tmp_path / "annotations").mkdir()
    for part, numbers in (("trainval", (1, 2)), ("test", (3,))):
        lines = [f"{breed}_{n} {label} 1 1\n" for label, breed in enumerate(("Abyssinian", "pug_dog"), 1)
                 for n in numbers]  # fmt: skip
        (tmp_path / "annotations" / f"{part}.txt").write_text("".join(lines))
        for line in lines:
            picture(tmp_path / "images" / f"{line.split()[0]}.jpg")
    assert shape(read("oxford-pets", [1, 1])) == ([(1, 2, 1), (1, 2, 1)], (0, 0))


def test_caltech_objects_without_the_clutter(tmp_path, picture, read):
    for name in ("BACKGROUND_Google", "ant", "barrel", "camera"):
        for number in range(5):
            picture(tmp_path / "caltech101" / "101_ObjectCategories" / name / f"image_{number}.jpg")
    stream = read("caltech101", [2, 1])
    assert shape(stream) == ([(2, 8, 2), (1, 4, 1)], (0, 0))
    with pytest.raises(StreamError, match="3 categories, the published split has 101"):
        read("caltech101", None)


def test_food(tmp_path, picture, read):
    root = tmp_path / "food-101"
    (root / "meta").mkdir(parents=True)
    for part, numbers in (("train", (1, 2)), ("test", (3,))):
        images = [f"{dish}/{n}" for dish in ("apple_pie", "waffles") for n in numbers]
        (root / "meta" / f"{part}.txt").write_text("\n".join(images))
        for image in images:
            picture(root / "images" / f"{image}.jpg")
    assert shape(read("food101", [1, 1])) == ([(1, 2, 1), (1, 2, 1)], (0, 0))


@pytest.mark.parametrize(("training", "test_list"), [("Training", "../GT-final_test.csv"),
                         ("Final_Training/Images", "Final_Test/Images/GT-final_test.csv")])  # fmt: skip
def test_traffic_signs_are_ppm_files(tmp_path, picture, read, training, test_list):
    root = tmp_path / "GTSRB"
    for sign in ("00000", "00001"):
        for frame in range(3):
            picture(root / training / sign / f"00000_{frame:05d}.ppm")
        (root / training / sign / f"GT-{sign}.csv").write_text("Filename;Width\n")
    for number in range(2):
        picture(root / "Final_Test" / "Images" / f"{number:05d}.ppm")
    lines = [f"{number:05d}.ppm;8;8;1;1;7;7;{number}\n" for number in range(2)]
    (root / test_list).write_text(
        "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId\n" + "".join(lines)
    )
    stream = read("gtsrb", [1, 1])
    assert shape(stream) == ([(1, 3, 1), (1, 3, 1)], (0, 0))
    check_labels(stream)


def test_tiny_imagenet(tmp_path, picture, read):
    root = tmp_path / "tiny-imagenet-200"
    for wnid in ("n01", "n02"):
        for number in range(2):
            picture(root / "train" / wnid / "images" / f"{wnid}_{number}.JPEG")
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("x\t0\t0\t1\t1\n")
    for number in range(2):
        picture(root / "val" / "images" / f"val_{number}.JPEG")
    (root / "val" / "val_annotations.txt").write_text(
        "val_0.JPEG\tn01\t0\t0\t9\t9\nval_1.JPEG\tn02\t0\t0\t9\t9\n"
    )
    assert shape(read("tiny-imagenet", [1, 1])) == ([(1, 2, 1), (1, 2, 1)], (0, 0))


def test_groceries_by_folders_and_by_the_original_lists(tmp_path, picture, read):
    plain, original = tmp_path / "plain", tmp_path / "original"
    lists = {"train": [], "val": [], "test": []}
    for label, name in enumerate(("Lime", "Plum")):
        for number in range(2):
            picture(plain / "train" / name / f"{number}.jpg")
            picture(plain / "test" / name / f"{number}.jpg")
            for part, lines in lists.items():
                path = f"{part}/Fruit/{name}/{number}.jpg"
                picture(original / "dataset" / path)
                lines.append(f"{path}, {label}, 0\n")
    for part, lines in lists.items():
        (original / "dataset" / f"{part}.txt").write_text("".join(lines))
    assert shape(read("grocery", [1, 1], plain)) == ([(1, 2, 2), (1, 2, 2)], (0, 0))
    assert shape(read("grocery", [1, 1], original)) == ([(1, 4, 2), (1, 4, 2)], (0, 0))
    with pytest.raises(StreamError, match="2 categories, the published split has 81"):
        read("grocery", None, plain)


def test_omniglot_keeps_equal_names_of_two_alphabets_apart(tmp_path, picture, read):
    for alphabet in ("Greek", "Latin", "Korean"):
        for character in ("character01", "character02"):
            for drawer in range(20):
                picture(tmp_path / "images_background" / alphabet / character / f"{drawer}.png")
    stream = read("omniglot", None)
    assert shape(stream) == ([(2, 30, 10)] * 3, (0, 0))
    check_labels(stream)
    orders = {tuple(task.name for task in read("omniglot", None, seed=seed).tasks) for seed in range(4)}
    assert len(orders) > 1
    assert shape(read("omniglot", [3, 2])) == ([(3, 45, 15), (2, 30, 10)], (0, 0))
