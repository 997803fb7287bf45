#!/bin/sh
# SPDX-License-Identifier: MIT
# deer-report on real and on hostile input: statuses, files, equal bytes, golden numbers, and the page
# in a browser. BUILD: the build folder; screenshots stay in its tests/reports/out.
set -u
export LC_ALL=C
build=$(cd "${BUILD:-build}" && pwd)
model=datasets/tabletop/policy.safetensors
modules=$build/tests/reports
tests=$(pwd)/tests/reports
out=$modules/out
report=$build/deer-report
failures=0
mkdir -p "$out"
rm -rf "${out:?}"/*

wrong() {
    failures=$((failures + 1))
    echo "FAILED: $*"
    head -n 3 "$out/stderr" 2>/dev/null | sed 's/^/   /'
}
need() { # need COMMAND...: it must succeed, or nothing else makes sense
    "$@" >"$out/stdout" 2>"$out/stderr" </dev/null || { wrong "$*"; exit 1; }
}
fails() { # fails STATUS WORDS COMMAND...: one line that holds WORDS
    expected=$1
    words=$2
    shift 2
    "$@" >"$out/stdout" 2>"$out/stderr" </dev/null
    status=$?
    [ "$status" -eq "$expected" ] || wrong "status $status, not $expected: $*"
    [ "$(wc -l <"$out/stderr")" -eq 1 ] || wrong "not one line on standard error: $*"
    grep -q -- "$words" "$out/stderr" || wrong "the message does not say '$words': $*"
}
same() { cmp -s "$1" "$2" || wrong "$1 and $2 differ"; }

# ---------------------------------------------------------------- caches --------------------------

need "$build/deer-sim" record --episodes 1 --seed 5 --out "$out/demos.h5"
need "$build/deer-calib" replay --model $model --demos "$out/demos.h5" --cache "$out/cache" \
    --ages 2:1
need "$build/deer-calib" solve --cache "$out/cache" --model $model --scope total --avg-fraction 0.45 \
    --cameras 2/0.3,1/0.3 --out "$out/tau.json"
need "$build/deer-sim" eval --model $model --episodes 1 --seed 40 --exit 0 --json
cp "$out/stdout" "$out/first.json"
need "$build/deer-sim" eval --model $model --episodes 1 --seed 40 --json
cp "$out/stdout" "$out/full.json"
need "$build/tests/report_cache" $model "$out/hostile" 40 10 '<script>alert(1)</script>'

# ---------------------------------------------------------------- reports -------------------------

need "$report" --cache "$out/cache" --demos "$out/demos.h5" --model $model --budget-sweep 17 \
    --rollouts "$out/first.json,$out/full.json" --rate 10,30,300 --out "$out/tabletop.html" \
    --json "$out/tabletop.json" --csv "$out/tabletop.csv"
need "$report" whatif --cache "$out/cache" --demos "$out/demos.h5" --model $model --budget-sweep 17 \
    --rollouts "$out/first.json,$out/full.json" --rate 10,30,300 --threads 1 --json -
cp "$out/stdout" "$out/again.json"
printf '\n' >>"$out/tabletop.json" # what - ends with
same "$out/tabletop.json" "$out/again.json"
need "$report" whatif --cache "$out/cache" --demos "$out/demos.h5" --model-shape 3b --rate 10,5 \
    --out "$out/shape.html" --json "$out/shape.json" --csv "$out/shape.csv"
need "$report" whatif --cache "$out/cache" --demos "$out/demos.h5" --model-shape 3b --rate 10,5 --csv -
same "$out/shape.csv" "$out/stdout"
need "$report" whatif --cache "$out/cache" --model-shape 3b --rate 10,5 --runtime tuned --json "$out/tuned.json"
need "$report" whatif --cache "$out/cache" --model-shape 3b --rate 5,10 --runtime tuned --cameras 3 \
    --image-size 336 --tokens 25 --part-dtype vision=q8,head=f32 --deadline 70 --host-watts 60 --robots 3 \
    --json "$out/load.json"
need "$report" whatif --cache "$out/cache" --model $model --thresholds "$out/tau.json" --rate 30,300 \
    --budget-sweep 9 --out "$out/cameras.html" --json "$out/cameras.json" --csv "$out/cameras.csv"
need "$build/deer-calib" check --cache "$out/cache" --model $model --thresholds "$out/tau.json" --json
cp "$out/stdout" "$out/check.json"
as_checked() { # as_checked REPORT CHECK: of the thresholds file they say the same
    node -e 'const [r, c] = process.argv.slice(1).map((f) => JSON.parse(require("fs").readFileSync(f))), p = r.thresholds.point;
        for (const [x, y] of [[p.total_gflops, c.average_total_gflops], [p.loss, c.loss]])
            if (!(Math.abs(x - y) <= 1e-5 * y)) { console.log(x, y); process.exit(1); }' "$1" "$2" ||
        wrong "a report says of a thresholds file what deer-calib check does not: $1"
}
as_checked "$out/cameras.json" "$out/check.json"
need "$build/deer-calib" solve --cache "$out/cache" --model $model --scope total --avg-fraction 0.6 \
    --cameras 2/0.3,1/0.3 --rule schedule --out "$out/schedule.json"
need "$report" whatif --cache "$out/cache" --model $model --thresholds "$out/schedule.json" --rate 30 --json "$out/scheduled.json"
need "$build/deer-calib" check --cache "$out/cache" --model $model --thresholds "$out/schedule.json" --json
cp "$out/stdout" "$out/check.json"
as_checked "$out/scheduled.json" "$out/check.json"
need "$build/tests/report_cache" table "$out/table.h5" 40 5
need "$report" whatif --table "$out/table.h5" --cost-unit ms --budget-sweep 21 --out "$out/table.html" \
    --json "$out/table.json"
need "$build/deer-calib" solve --table "$out/table.h5" --avg-cost 0.6 --json
cp "$out/stdout" "$out/solved.json"
need "$report" whatif --cache "$out/hostile" --hardware raspberry-pi-5 --out "$out/hostile.html"
need "$report" compare "$out/tabletop.json" "$out/shape.json"
grep -q 'meet the demands with A alone' "$out/stdout" || wrong "compare names no verdict"
need "$report" compare "$out/tabletop.json" "$out/shape.json" --json
cp "$out/stdout" "$out/comparison.json"
need "$build/tests/command_helper" json "$out/comparison.json" a b frontier machines
need "$report" compare "$out/tabletop.json" "$out/shape.json" --rollouts "$out/first.json,$out/full.json" \
    --out "$out/compare.html" --json
cp "$out/stdout" "$out/compare.json"
need "$report" rollouts --paired "first=$out/first.json" "full=$out/full.json" --json
cp "$out/stdout" "$out/paired.json"
mkdir -p "$out/watch/a" "$out/watch/b"
cp "$out/first.json" "$out/watch/a/40.json"
printf '{"seed": 40, ' >"$out/watch/a/41.json" # not whole yet
cp "$out/watch/a/41.json" "$out/watch/b/41.json"
"$report" compare "$out/tabletop.json" "$out/shape.json" --watch "$out/watch" --out "$out/watched.html" &
watching=$!
appears() { # appears WORDS: within ten seconds, in the page that is kept up to date
    for i in 1 2 3 4 5 6 7 8 9 10; do
        grep -q -- "$1" "$out/watched.html" 2>/dev/null && return
        sleep 1
    done
    wrong "no '$1' in the page that is kept up to date"
}
appears 'http-equiv="refresh"'
grep -q 'id="paired-words"' "$out/watched.html" && wrong "pairs before there are any"
cp "$out/full.json" "$out/watch/b/40.json"
appears 'id="paired-words"'
kill -TERM $watching
wait $watching || wrong "an interrupted watch fails"
grep -q 'http-equiv="refresh"' "$out/watched.html" && wrong "the last page of a watch loads itself anew"
need "$report" compare "$out/tabletop.json" "$out/tabletop.json"
grep -q 'lose alike: at none of 11' "$out/stdout" || wrong "a report loses less than itself"
grep -q 'have the same verdict' "$out/stdout" || wrong "a report's verdicts differ from themselves"
node - "$out/tabletop.json" "$out/near.json" "$out/less.json" <<'JS'
const fs = require("fs"), [own, near, less] = process.argv.slice(2);
function change(path, factor, band) { // of all losses, and how far they reach
  const r = JSON.parse(fs.readFileSync(own));
  for (const p of r.frontiers.at(-1).points) {
    p.loss *= factor;
    if (band) p.loss_95 = [p.loss * (1 - band), p.loss * (1 + band)];
  }
  fs.writeFileSync(path, JSON.stringify(r));
}
change(near, 1.01);
change(less, 0.4, 0.01);
JS
need "$report" compare "$out/tabletop.json" "$out/near.json"
grep -q 'lose alike: at none of 11' "$out/stdout" || wrong "what lies far inside the bands is told as a difference"
need "$report" compare "$out/tabletop.json" "$out/less.json" --json
node -e 'const c = JSON.parse(require("fs").readFileSync(process.argv[1])), at = (row) => row.less;
    if (!/^B loses less at 10 of 11/.test(c.words.loss) || c.frontier.some((row, i) => at(row) !== (i < 10 ? "B" : "alike"))) {
        console.log(c.words.loss, c.frontier.map(at)); process.exit(1); }' "$out/stdout" || wrong "losses far apart are not told"
sed 's/"seed": 40/"seed": 41/' "$out/full.json" >"$out/seed.json"
need "$report" rollouts "first=$out/first.json" "full=$out/full.json" "seed=$out/seed.json"
[ "$(wc -l <"$out/stderr")" -eq 1 ] || wrong "one file of another seed is not one warning"
grep -q "seed.json.*seed 41, not 40" "$out/stderr" || wrong "nothing warns of another seed"
need "$report" whatif --cache "$out/cache" --rate 10 --rollouts "$out/first.json,$out/seed.json"
grep -q "seed.json.*seed 41, not 40" "$out/stderr" || wrong "whatif does not warn of another seed"
need "$report" rollouts "full, or not=$out/full.json" "first=$out/first.json" --csv "$out/rollouts.csv"
grep -q '^"full, or not",' "$out/rollouts.csv" || wrong "a comma in a name shifts the columns"
grep -q '^first,' "$out/rollouts.csv" || wrong "a plain name is quoted"
need "$report" whatif --cache "$out/cache" --rate 10 --rollouts "$out/first.json,$out/full.json" \
    --min-success 0
grep -q '^10 Hz: [1-9]' "$out/stdout" || wrong "no machine has any success"

# ---------------------------------------------------------------- what cannot be answered ---------

sed 's/"model_fingerprint": "[0-9a-f]*"/"model_fingerprint": "00000000000000000000000000000000"/' \
    "$out/tau.json" >"$out/tau-of-another.json"

cache="--cache $out/cache"
fails 1 "abacus.*orin-nano-8" "$report" whatif $cache --hardware abacus
fails 2 "no power mode" "$report" whatif $cache --hardware orin-nano-8:99W
fails 3 "no machine meets the demands.*nearest" "$report" whatif $cache --rate 1000000 \
    --out "$out/never.html"
grep -q "The nearest is" "$out/never.html" || wrong "the page does not name the nearest"
fails 3 "first exit" "$report" whatif $cache --budget-sweep 0.0001:0.0002:5
fails 2 "as many" "$report" whatif $cache --model-shape 9b
fails 2 "say 3b or 9b" "$report" whatif $cache --model-shape 4b
fails 2 "needs --rollouts" "$report" whatif $cache --min-success 0.5
fails 2 "--json and --csv both write to standard output" "$report" whatif $cache --json - --csv -
fails 2 "--json .*would overwrite .*another place" "$report" whatif $cache --json "$out/x" --out "$out/x"
[ ! -e "$out/x" ] || wrong "a file that two outputs claim was written"
fails 2 "rates" "$report" whatif $cache --rate 5,x
fails 2 "f32,bf16,q8" "$report" whatif $cache --dtype f64
fails 2 "cameras" "$report" whatif $cache --cameras 0
fails 2 "multiple of the 14 pixels" "$report" whatif $cache --model-shape 3b --image-size 225
fails 2 "vision=, decoder= and head=" "$report" whatif $cache --part-dtype eyes=q8
fails 2 "no time in ms" "$report" whatif $cache --deadline -1
fails 2 "robots" "$report" whatif $cache --robots 0
fails 2 "exclude each other" "$report" whatif $cache --cameras 1 --thresholds "$out/tau.json"
fails 2 "takes --model" "$report" whatif $cache --thresholds "$out/tau.json"
fails 2 "takes --model" "$report" whatif $cache --thresholds "$out/schedule.json"
fails 1 "is for another policy" "$report" whatif --cache "$out/hostile" --thresholds "$out/tau-of-another.json"
fails 2 "leave --rollouts out" "$report" whatif $cache --cameras 1 --rollouts "$out/full.json"
fails 2 "stands for --cache" "$report" whatif $cache --table "$out/table.h5"
fails 2 "a table of machines" "$report" whatif --table "$out/table.h5" --csv "$out/no.csv"
fails 3 "keeps a loss" "$report" whatif --table "$out/table.h5" --budget-sweep 0.2:0.5:5 --max-loss 0.0001 \
    --json "$out/lossy.json"
fails 1 "tau.json" "$report" whatif --table "$out/tau.json" --out "$out/no.html"
useless() { # useless WORDS EXITS WHAT VALUE: a table of which no answer can be made
    need "$build/tests/report_cache" table "$out/useless.h5" 9 "$2" "$3" "$4"
    fails 1 "useless.h5.*$1" "$report" whatif --table "$out/useless.h5" --out "$out/no.html" --json "$out/no.json"
    [ ! -e "$out/no.html" ] && [ ! -e "$out/no.json" ] || wrong "an answer of no table: $*"
}
useless "no delta .* finite" 5 delta nan
useless "no delta .* finite" 5 delta inf
useless "all the same" 5 delta 0.25
useless "one exit" 1 cost 1
useless "costs nothing" 5 cost 0
useless "every exit costs 2" 5 cost 2
useless "must be 0 or more" 5 cost -1
useless "must be 0 or more" 5 first-cost inf
useless "less than the exit before" 5 first-cost 9
useless "not finite" 5 loss nan
useless "not finite" 5 first-loss -inf
need "$build/tests/report_cache" table "$out/deep.h5" 9 2 first-loss 1
need "$report" whatif --table "$out/deep.h5" --max-loss 0
grep -q "Nothing cheaper than full depth" "$out/stdout" || wrong "full depth is told as a saving"
fails 2 "which cache" "$report" whatif
fails 1 "hostile" "$report" whatif --cache "$out/hostile" --demos "$out/demos.h5" --out "$out/no.html"
[ ! -e "$out/no.html" ] || wrong "a page of other demonstrations was written"
fails 2 "needs a page" "$report" compare "$out/tabletop.json" "$out/shape.json" --watch "$out"
fails 1 "cannot look into" "$report" compare "$out/tabletop.json" "$out/shape.json" --watch "$out" \
    --out "$out/x.html"
strange=$out/$(printf '\377') # a name that no page can have
mkdir -p "$strange/a"
fails 1 "not UTF-8" timeout 9 "$report" compare "$out/tabletop.json" "$out/shape.json" --watch "$strange" \
    --out "$out/x.html"
[ ! -e "$out/x.html" ] || wrong "a page without the name of what it watches was written"
fails 2 "pairs of files" "$report" compare "$out/tabletop.json" "$out/shape.json" --rollouts "$out/full.json"
fails 1 "is no report" "$report" compare "$out/full.json" "$out/shape.json"
printf '{"success": 0.5, "low": 0.4, "high": 0.6, "rollouts": 9, "exit_fractions": [1]}' \
    >"$out/other.json"
fails 1 "exit_fractions" "$report" whatif --cache "$out/cache" --rollouts "$out/other.json"
fails 2 "two evaluations have the name 'a'" "$report" rollouts "a=$out/full.json" "ab=$out/full.json" \
    "a=$out/first.json"
fails 2 "given twice" "$report" whatif $cache --rollouts "$out/full.json,$out/full.json"
fails 1 "name given to $out/full.json is not UTF-8" "$report" rollouts \
    "$(printf 'f\377')=$out/full.json" --csv "$out/none.csv"
[ ! -e "$out/none.csv" ] || wrong "a table without a name was written"
mkdir "$out/empty"
fails 1 "empty" "$report" whatif --cache "$out/empty"
cp -r "$out/hostile" "$out/none"
node -e 'const fs = require("fs"), f = process.argv[1], m = JSON.parse(fs.readFileSync(f));
    m.episode_steps = []; if ("episodes" in m) m.episodes = 0;
    fs.writeFileSync(f, JSON.stringify(m))' "$out/none/manifest.json"
fails 1 "none" "$report" whatif --cache "$out/none"
cat >"$out/blank.json" <<'JSON'
{"deer_hardware": 1, "name": "blank", "title": "A box nobody measured", "kind": "cpu",
 "modes": [{"name": "on", "watts": null}]}
JSON
fails 3 "misses a figure" "$report" whatif $cache --hardware "$out/blank.json" --out "$out/blank.html"
grep -q "A box nobody measured" "$out/blank.html" || wrong "the page leaves a blank machine out"

# ---------------------------------------------------------------- numbers and page ----------------

if [ ! -e "$modules/package-lock.json" ] ||
    ! cmp -s tests/reports/package-lock.json "$modules/package-lock.json"; then
    cp tests/reports/package.json tests/reports/package-lock.json "$modules"
    (cd "$modules" && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline \
        --loglevel=error) || { rm -f "$modules/package-lock.json"; exit 1; }
fi
node tests/reports/golden.mjs "$out/tabletop.json" tests/reports/golden.json || wrong "golden numbers"
node tests/reports/judge.mjs "$out/tabletop.json" "$out/tabletop.csv" || wrong "the judge of the tabletop"
node tests/reports/judge.mjs "$out/shape.json" "$out/shape.csv" "$out/tuned.json" \
    "$out/load.json" || wrong "the judge of the shape"
node tests/reports/schema.mjs compare.schema.json "$out/compare.json" "$out/comparison.json" || wrong "the JSON of compare"
node tests/reports/schema.mjs table.schema.json "$out/table.json" "$out/lossy.json" || wrong "the JSON of a table"
(cd "$modules" && node "$tests/buyers.mjs" "$out/shape.json" "$out/shape.html" >"$out/buyers.txt" 2>&1) &
buyers=$!
(cd "$modules" && node "$tests/page.mjs" "$out" >"$out/page.txt" 2>&1) &
page=$!
node tests/reports/judge.mjs "$out/cameras.json" "$out/cameras.csv" || wrong "the judge of older encodings"
mkdir "$out/figures"
node bench/curve.mjs "$build/reports/page" "$out/figures" >"$out/stdout" 2>"$out/stderr" || wrong "the README's figures"
for figure in curve.svg curve-dark.svg clock.svg clock-dark.svg moment.svg moment-dark.svg; do
    cmp -s "docs/$figure" "$out/figures/$figure" || wrong "docs/$figure is not what bench/curve.mjs draws"
done
wait $buyers || wrong "the five questions of a buyer"
wait $page || wrong "the page in a browser"
cat "$out/buyers.txt" "$out/page.txt"
[ "$failures" -eq 0 ]
