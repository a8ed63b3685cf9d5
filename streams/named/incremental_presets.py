"""Streams that learn classes task by task and are asked with held-out images of the same classes."""

from __future__ import annotations

from streams.named import (
    caltech101,
    cars196,
    cub200,
    flowers102,
    food101,
    grocery,
    gtsrb,
    listed_images,
    omniglot,
    oxford_pets,
    tiny_imagenet,
)
from streams.named.folder_layouts import task_folders
from streams.named.glyph_tasks import render_glyphs
from streams.named.presets import PublishedCounts, SplitCounts, StreamPreset
from streams.named.protocols import half_then_four

_QUARTER = 0.25
_HALF_THEN_FOUR = "half of the classes in shuffled order, then four equal tasks"

_LEARNED_BY_GROUP = (
    StreamPreset(
        name="glyphs",
        description="written characters of five kinds, drawn on the spot",
        protocol="one task per kind in shuffled order, 20 pictures per character, 5 of them ask",
        how_to_get="nothing to get: the pictures are drawn",
        find_files=task_folders,
        query_fraction=_QUARTER,
        render=render_glyphs,
    ),
    StreamPreset(
        name="omniglot",
        description="handwritten characters, alphabets as tasks (Lake, Salakhutdinov, Tenenbaum 2015)",
        protocol="one task per alphabet in shuffled order; of each character's 20 drawings 5 ask",
        how_to_get="get Omniglot (Lake et al. 2015) as <alphabet>/<character>/*.png and name the folder that "
        "holds the alphabets, or a .zip of it",
        find_files=omniglot.alphabets,
        query_fraction=_QUARTER,
    ),
    StreamPreset(
        name="grocery",
        description="photos of groceries, 81 fine classes (Klasson, Zhang, Kjellstrom 2019)",
        protocol="41 classes, then 4 x 10, in shuffled order; its own train (with validation) and test",
        how_to_get="get the Grocery Store Dataset (Klasson et al. 2019) and name its folder, with train.txt, "
        "val.txt and test.txt, or a folder or .zip of train/<class>/*.jpg and test/<class>/*.jpg",
        find_files=grocery.own_split,
        task_sizes=half_then_four(81),
        published=PublishedCounts(total=SplitCounts(81, 5_421, 2_485)),
    ),
    StreamPreset(
        name="deepfashion2-list",
        description="any images by a text list, as for DeepFashion2 (Ge, Zhang, Wang, Tang, Luo 2019)",
        protocol=f"{_HALF_THEN_FOUR}; query images of classes without training images are unseen",
        how_to_get="write lines 'path, category, split' (train or query) to list.csv beside the images and "
        "name the list or its folder",
        find_files=listed_images.listed_split,
    ),
)

_POWERS_OF_TWO = (1, 2, 4, 8, 16, 32)
_PUBLISHED_INCREMENTAL = (
    StreamPreset(
        name="cub-incremental",
        description="200 kinds of birds, class-incremental (Wah et al. 2011)",
        protocol="classes 1-100, then 4 x 25; Recall@1 to 32; of each class the first floor(0.6 n) images "
        "train, the others ask (Liu, Zhao, Zhao 2022); the seed changes neither order nor split",
        how_to_get="get Caltech-UCSD Birds-200-2011 (Wah et al. 2011) and name the folder with images.txt, "
        "image_class_labels.txt, classes.txt and images/",
        find_files=cub200.incremental,
        task_sizes=half_then_four(200),
        recall_at=_POWERS_OF_TWO,
        published=PublishedCounts(
            total=SplitCounts(200, 11_788, 4_740),
            tasks=(
                SplitCounts(100, 5_864, 2_360),
                SplitCounts(25, 1_463, 588),
                SplitCounts(25, 1_495, 600),
                SplitCounts(25, 1_485, 597),
                SplitCounts(25, 1_481, 595),
            ),
        ),
    ),
    StreamPreset(
        name="cars-incremental",
        description="196 kinds of cars, class-incremental (Krause, Stark, Deng, Fei-Fei 2013)",
        protocol="classes 1-100, then 4 x 24; Recall@1 to 32 (Liu, Zhao, Zhao 2022); images split within "
        "each class as for cub-incremental, as the published split is not known; the seed changes neither",
        how_to_get="get Stanford Cars (Krause et al. 2013) and name the folder with cars_annos.mat and "
        "car_ims/, or with devkit/, cars_train/ and cars_test/, or with cars_annos.csv (path,class)",
        find_files=cars196.incremental,
        task_sizes=half_then_four(196),
        recall_at=_POWERS_OF_TWO,
        published=PublishedCounts(total=SplitCounts(196, 16_185)),
    ),
)

_OWN_SPLITS = (
    StreamPreset(
        name="flowers102",
        description="102 kinds of flowers (Nilsback, Zisserman 2008)",
        protocol=f"{_HALF_THEN_FOUR}; training and validation parts train, the test part asks",
        how_to_get="get 102 Category Flowers (Nilsback, Zisserman 2008) and name the folder with jpg/, "
        "imagelabels.mat and setid.mat",
        find_files=flowers102.own_split,
        task_sizes=half_then_four(102),
        published=PublishedCounts(total=SplitCounts(102, 8_189, 6_149)),
    ),
    StreamPreset(
        name="oxford-pets",
        description="37 breeds of cats and dogs (Parkhi, Vedaldi, Zisserman, Jawahar 2012)",
        protocol=f"{_HALF_THEN_FOUR}; trainval trains, test asks",
        how_to_get="get the Oxford-IIIT Pet Dataset (Parkhi et al. 2012) and name the folder with images/ "
        "and annotations/",
        find_files=oxford_pets.own_split,
        task_sizes=half_then_four(37),
        published=PublishedCounts(total=SplitCounts(37, 7_349, 3_669)),
    ),
    StreamPreset(
        name="caltech101",
        description="101 kinds of objects (Li, Fergus, Perona 2004)",
        protocol=f"{_HALF_THEN_FOUR}; a share of each class asks, drawn by seed; no background clutter",
        how_to_get="get Caltech-101 (Li, Fergus, Perona 2004) and name the folder with 101_ObjectCategories/",
        find_files=caltech101.all_objects,
        task_sizes=half_then_four(101),
        published=PublishedCounts(total=SplitCounts(101, 8_677)),
    ),
    StreamPreset(
        name="food101",
        description="101 dishes (Bossard, Guillaumin, Van Gool 2014)",
        protocol=f"{_HALF_THEN_FOUR}; the data's own train and test",
        how_to_get="get Food-101 (Bossard et al. 2014) and name the folder with images/ and meta/",
        find_files=food101.own_split,
        task_sizes=half_then_four(101),
        published=PublishedCounts(total=SplitCounts(101, 101_000, 25_250)),
    ),
    StreamPreset(
        name="gtsrb",
        description="43 traffic signs (Stallkamp, Schlipsing, Salmen, Igel 2011)",
        protocol=f"{_HALF_THEN_FOUR}; the training images train, the final test asks",
        how_to_get="get the German Traffic Sign Recognition Benchmark (Stallkamp et al. 2011) and name the "
        "folder with Training/ (or Final_Training/Images/), Final_Test/Images/ and GT-final_test.csv",
        find_files=gtsrb.own_split,
        task_sizes=half_then_four(43),
        published=PublishedCounts(total=SplitCounts(43, queries=12_630)),
    ),
    StreamPreset(
        name="tiny-imagenet",
        description="200 classes of 64 px photos (Le, Yang 2015)",
        protocol=f"{_HALF_THEN_FOUR}; train trains, the labelled val part asks",
        how_to_get="get Tiny ImageNet (Le, Yang 2015) and name the folder with train/<class>/images/, "
        "val/images/ and val/val_annotations.txt",
        find_files=tiny_imagenet.own_split,
        task_sizes=half_then_four(200),
        published=PublishedCounts(total=SplitCounts(200, 110_000, 10_000)),
    ),
)

INCREMENTAL_PRESETS = (*_LEARNED_BY_GROUP, *_PUBLISHED_INCREMENTAL, *_OWN_SPLITS)
