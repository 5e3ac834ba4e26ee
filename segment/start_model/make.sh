#!/usr/bin/env bash
# Make the model to start from again, in a new folder: scenes of the varied world, crops, training in nine
# stages. The first four take about 100 minutes on 2 cores that compute in bfloat16, the last five 105 minutes on 2 that do
# not. All scenes are of today's world; those that the bundled weights saw in their first four stages had fewer houses and
# ponds, greener lawns, smoother water and duller roofs, all but those of `fifth` had brighter shadows, and `third` had no
# leaves in its water. So the model comes out alike, not the same.
set -euo pipefail
folder=${1:?usage: make.sh FOLDER}
benchmarks=$(cd "$(dirname "$0")/../../benchmarks" && pwd)
mkdir -p "$folder"
cd "$folder"
varied=(--world varied --gsd 0.004 --gsd-to 0.03 --photo-size 1024 1536)
options=(--loss ce --dropout 0.1 --coarse-first 0 --colour 0.15 --schedule cosine --head-lr-factor 1 --tile auto --precision bf16 --half)
near=(--input 256 --batch-size 8 --zoom 0.6 1.7)

noseam scenes first "${varied[@]}" --photos 640 --seed 4
noseam scenes second "${varied[@]}" --photos 480 --seed 5
noseam scenes third "${varied[@]}" --photos 450 --seed 8
noseam scenes fourth "${varied[@]}" --photos 450 --seed 9
noseam scenes fifth "${varied[@]}" --photos 360 --seed 12
noseam scenes alike --photos 96 --photo-size 1536 2048 --seed 4
cut() { # cut KIND WINDOW NAME ...: crops of scenes, each in a folder KIND-NAME
    for name in "${@:3}"; do
        noseam crop "$name/images" "$name/truth" --out "$1-$name" --classes first/classes.csv --window "$2" --split 0.97 \
            --format jpeg
    done
}
cut crops 512 first second alike
cut wide 1024 first second alike third fourth fifth

mean_of() { # mean_of OUT FOLDER ...: the first checkpoint with the mean of the weights of all, often better than each
    mkdir "$1"
    cp "$2"/*.* "$1"
    python - "$@" <<'PYTHON'
import sys
import torch
from safetensors.torch import load_file, save_file

out, *paths = (f"{folder}/model.safetensors" for folder in sys.argv[1:])
models = [load_file(path) for path in paths]
weights = dict(models[0])
for name, tensor in weights.items():
    if tensor.ndim: # all but a count of batches
        mean = torch.stack([model[name].float() for model in models]).mean(dim=0)
        weights[name] = mean.half() if mean.ndim > 1 else mean
save_file(weights, out, {"format": "pt"})
PYTHON
}

train_until() { # train_until STEP FOLDER ...: train, and stop when the state of a step is written
    local state=$2/state/checkpoint-$1
    shift
    noseam train "${@:2}" --out "$1" "${options[@]}" "${near[@]}" &
    until [ -e "$state/trainer_state.json" ]; do
        kill -0 $! # ends this script if the training has ended before
        sleep 1
    done
    kill $!
    wait $! || true
}

# From the model of the demo, at a rate at which it forgets that it knew one kind of place alone.
train_until 3000 stage1 crops-first crops-alike --base bundled:demo --lr 1e-3 --warmup 0.03 --max-steps 7000 \
    --validate-every 500 --seed 4

# Rare classes weigh more, because it had noticed few of them.
train_until 2000 stage2 crops-first crops-alike --base stage1/state/checkpoint-3000 --class-weights sqrt --lr 8e-4 \
    --warmup 0.02 --max-steps 6000 --validate-every 1000 --seed 5

# More scenes, of houses and water from near by, until the rate is 0.
noseam train crops-second crops-first crops-alike --out stage3 --base stage2/state/checkpoint-2000 --class-weights sqrt \
    --lr 8e-4 --warmup 0.02 --max-steps 5000 --validate-every 1000 --seed 6 "${options[@]}" "${near[@]}"

# Windows that hold more of what lies around. The validation crops liked the state after 500 steps best.
noseam train wide-second wide-first wide-alike --out stage4 --base stage3 --class-weights sqrt --lr 5e-4 \
    --warmup 0.02 --max-steps 2500 --validate-every 500 --seed 7 --input 512 --batch-size 2 --zoom 0.8 2 "${options[@]}"

# Nearer to real photos, by two recipes: areas count (Dice), then rare classes.
today=(--head-lr-factor 1 --schedule cosine --warmup 0.02 --lr 4e-4 --dropout 0 --coarse-first 0 --tile auto --no-class-bias
    --input 512 --batch-size 2)
noseam train wide-third wide-fourth --out stage5 --base stage4 --loss ce+dice --colour 0 --zoom 0.8 2 --max-steps 1900 \
    --validate-every 950 --seed 11 "${today[@]}"
mean_of mean5 stage5 stage4
noseam train wide-third wide-fourth --out stage6 --base mean5 --loss ce --class-weights sqrt --colour 0.15 --zoom 0.8 2 \
    --max-steps 1000 --validate-every 500 --seed 12 "${today[@]}"
mean_of mean6 stage6 mean5

# Darker shadows. The validation crops liked the state after 425 steps best.
noseam train wide-fifth wide-fourth --out stage7 --base mean6 --loss ce --class-weights sqrt --colour 0.15 --zoom 0.8 2 \
    --max-steps 850 --validate-every 425 --seed 13 "${today[@]}"

# Crops whose colours, sharpness and light change much look like those of no one camera, so that photos of any are less new.
any=(--colour 0.5 --blur 0.4 --noise 0.3 --jpeg 0.3 --shadow 0.4 --zoom 0.7 2.5)
noseam train wide-fifth wide-fourth wide-third --out stage8 --base mean6 --loss ce+dice --max-steps 600 --validate-every 300 \
    --seed 14 "${today[@]}" "${any[@]}"
mean_of mean8 stage8 mean6
noseam train wide-fifth wide-fourth wide-third --out stage9 --base mean8 --loss ce --class-weights sqrt --max-steps 1300 \
    --validate-every 650 --seed 15 "${today[@]}" "${any[@]}"
mean_of mean9 stage9 stage7 mean6

# Scenes that chose nothing say what confidence is worth, and how good the model is.
noseam scenes check "${varied[@]}" --photos 24 --seed 10
noseam crop fifth/images fifth/truth --val check/images check/truth --out tuning --classes check/classes.csv --window 1024 \
    --format jpeg
python "$benchmarks/temperature.py" mean9 tuning --steps 100 --write start_model
noseam segment check/images --out check/masks --model start_model
noseam evaluate check/masks check/truth --classes check/classes.csv --out check/evaluation
