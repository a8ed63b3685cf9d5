"""The zero-shot protocols of metric learning: train on some classes, be asked about classes never seen."""

from __future__ import annotations

from streams.named import cars196, cub200, in_shop, online_products
from streams.named.presets import PublishedCounts, SplitCounts, StreamPreset

_SELF_EXCLUDED = "each unseen image asked against all other unseen ones"

ZERO_SHOT_PRESETS = (
    StreamPreset(
        name="cub-zero-shot",
        description="200 kinds of birds, the classic halves (Wah et al. 2011)",
        protocol=f"classes 1-100 train, 101-200 are unseen; Recall@1,2,4,8, {_SELF_EXCLUDED}",
        how_to_get="get Caltech-UCSD Birds-200-2011 (Wah et al. 2011) and name the folder with images.txt, "
        "image_class_labels.txt, classes.txt and images/",
        find_files=cub200.zero_shot,
        task_sizes=(100,),
        published=PublishedCounts(
            total=SplitCounts(100, 5_864, 0),
            unseen=SplitCounts(100, 5_924),
        ),
    ),
    StreamPreset(
        name="cars-zero-shot",
        description="196 kinds of cars, the classic halves (Krause, Stark, Deng, Fei-Fei 2013)",
        protocol=f"classes 1-98 train, 99-196 are unseen; Recall@1,2,4,8, {_SELF_EXCLUDED}",
        how_to_get="get Stanford Cars (Krause et al. 2013) and name the folder with cars_annos.mat and "
        "car_ims/, or with devkit/, cars_train/ and cars_test/, or with cars_annos.csv (path,class)",
        find_files=cars196.zero_shot,
        task_sizes=(98,),
        published=PublishedCounts(
            total=SplitCounts(98, 8_054, 0),
            unseen=SplitCounts(98, 8_131),
        ),
    ),
    StreamPreset(
        name="sop-zero-shot",
        description="Stanford Online Products, 22,634 products (Song, Xiang, Jegelka, Savarese 2016)",
        protocol=f"11,318 products train, 11,316 are unseen; Recall@1,10,100,1000, {_SELF_EXCLUDED}",
        how_to_get="get Stanford Online Products (Song et al. 2016) and name the folder with Ebay_train.txt, "
        "Ebay_test.txt and the folders of images",
        find_files=online_products.zero_shot,
        task_sizes=(11_318,),
        recall_at=(1, 10, 100, 1000),
        published=PublishedCounts(
            total=SplitCounts(11_318, 59_551, 0),
            unseen=SplitCounts(11_316, 60_502),
        ),
    ),
    StreamPreset(
        name="in-shop",
        description="In-Shop Clothes Retrieval, 7,982 items (Liu, Luo, Qiu, Wang, Tang 2016)",
        protocol="3,997 items train, 3,985 are unseen; Recall@1,10,20,30, 14,218 query images asked against "
        "12,612 gallery images",
        how_to_get="get the In-shop Clothes Retrieval Benchmark of DeepFashion (Liu et al. 2016) and name "
        "the folder with list_eval_partition.txt (or Eval/) and img/",
        find_files=in_shop.zero_shot,
        task_sizes=(3_997,),
        recall_at=(1, 10, 20, 30),
        published=PublishedCounts(
            total=SplitCounts(3_997, 25_882, 0),
            unseen=SplitCounts(3_985, 26_830, 14_218),
        ),
    ),
)
