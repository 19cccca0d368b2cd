#!/bin/bash
#PBS -q gpu_1
#PBS -N kd00042-1f3a9c
#PBS -l select=1:ncpus=10:mem=32gb:ngpus=1
#PBS -l walltime=1:00:00
#PBS -M someone@example.org
#PBS -m a
#PBS -o output.txt
#PBS -r n
#PBS -j oe
#PBS -P ABCD0001
#PBS -l place=excl

cd /home/me/beta/experiments/jobs/00042 || exit 1
[ -e ending.json ] && exit 0  # given up as lost meanwhile: another job has these runs
rm -f ended.json
started=$(date +%s)
printf '{"node": "%s", "time": %d}\n' "$(hostname)" "$started" >> starts.jsonl
until=$((started + 3420))
command -v module > /dev/null || source /etc/profile
module load python/3.11
source /apps/conda/bin/activate 'my env'
export HTTPS_PROXY=http://proxy:3128
children=()
trap 'kill -TERM "${children[@]}" 2>/dev/null' TERM INT
python -P -m stillhouse train --root /home/me/beta --data-root '/data/my sets' --until "$until" --share 2 -- /home/me/beta/rounds/beta.yaml Cifar10/logit/ResNet112_to_ResNet56/0 Cifar10/rkd/ResNet112_to_ResNet56/0 &
children+=($!)
python -P -m stillhouse train --root /home/me/beta --data-root '/data/my sets' --until "$until" --share 2 -- /home/me/beta/rounds/beta.yaml Cifar10/pure/ResNet112/1 &
children+=($!)
code=0
for child in "${children[@]}"; do
    wait "$child"; status=$?
    while [ "$status" -gt 128 ] && kill -0 "$child" 2>/dev/null; do wait "$child"; status=$?; done
    [ "$status" -gt "$code" ] && code=$status
done
printf '{"exit": %d, "seconds": %d}\n' "$code" "$(($(date +%s) - started))" > ended.new
mv ended.new ended.json
exit "$code"
