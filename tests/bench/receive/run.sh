#!/bin/bash
# Instances per second received at 1, 4 and 8 associations: ours (synced before each answer) and DCMTK's storescp with
# TCP_NODELAY=1 (never synced), interleaved in the same run; then seconds that ordinary senders need for 45 objects.
# usage: run.sh BIN_DIR [ROUNDS] [OBJECTS_EACH] [WORK_DIR]
set -eu
bin=$1
rounds=${2:-5}
objects=${3:-400}
work=$(mktemp -d "${4:-/tmp}/choana-bench-XXXXXX")
ours=
theirs=
trap 'for p in $ours $theirs; do kill "$p" 2>/dev/null || true; done; rm -rf "$work"' EXIT

start_ours() {
  rm -rf "$work/ours"; mkdir -p "$work/ours"; rm -f "$work/ours.out"; touch "$work/ours.out"
  "$bin/choana_receive" "$work/ours" 0 ANY "${COMMITTERS:-1}" "${MODE:-adaptive}" >"$work/ours.out" &
  ours=$!
  until grep -q "^port [0-9]*$" "$work/ours.out"; do sleep 0.02; done
  ours_port=$(awk '/^port/{print $2}' "$work/ours.out")
}
stop_ours() { kill -TERM "$ours"; wait "$ours" || true; ours=; grep -o 'instances.*' "$work/ours.out" >>"$work/ours.log"; }
start_theirs() {
  rm -rf "$work/theirs"; mkdir -p "$work/theirs"
  theirs_port=$((20000 + RANDOM % 20000))
  storescp --fork -od "$work/theirs" -aet ANY "$theirs_port" >/dev/null 2>&1 &
  theirs=$!
  until echoscu -aec ANY 127.0.0.1 "$theirs_port" >/dev/null 2>&1; do sleep 0.02; done
}
stop_theirs() { kill "$theirs"; wait "$theirs" 2>/dev/null || true; theirs=; }
median() { sort -n | awk '{v[NR]=$1} END {printf "%s [%s-%s]", v[int((NR+1)/2)], v[1], v[NR]}'; }

for n in 1 4 8; do
  : >"$work/a"; : >"$work/b"; : >"$work/p50"
  for _ in $(seq "$rounds"); do
    start_ours; "$bin/send_raw" "$ours_port" ANY $n "$objects" >"$work/r" || cat "$work/r"; stop_ours
    awk '{print $1}' "$work/r" >>"$work/a"; awk '{print $2}' "$work/r" >>"$work/p50"
    export TCP_NODELAY=1; start_theirs; "$bin/send_raw" "$theirs_port" ANY $n "$objects" >"$work/r" || cat "$work/r"; stop_theirs; unset TCP_NODELAY
    awk '{print $1}' "$work/r" >>"$work/b"
  done
  echo "associations=$n choana_per_s=$(median <"$work/a") storescp_nodelay_per_s=$(median <"$work/b") choana_p50_ms=$(median <"$work/p50")"
done
echo "choana peak_rss_kib: $(grep -o 'peak_rss_kib [0-9]*' "$work/ours.log" | awk '{print $2}' | median)"

# 45 objects of ordinary senders, defaults on both sides.
mkdir "$work/files"
start_ours; "$bin/send_raw" "$ours_port" ANY 1 45 >/dev/null; find "$work/ours/spool" -name '*.dcm' -exec mv {} "$work/files" \; ; stop_ours
seconds() { local s e; s=$(date +%s%N); "$@" >/dev/null 2>&1 || echo failed >&2; e=$(date +%s%N); awk "BEGIN{printf \"%.3f\\n\", ($e-$s)/1e9}"; }
for tool in "storescu +sd" "dcmsend +sd"; do
  : >"$work/a"; : >"$work/b"; : >"$work/c"
  for _ in $(seq 3); do
    start_ours; seconds $tool -aec ANY 127.0.0.1 "$ours_port" "$work/files" >>"$work/a"; stop_ours
    start_theirs; seconds $tool -aec ANY 127.0.0.1 "$theirs_port" "$work/files" >>"$work/b"; stop_theirs
    export TCP_NODELAY=1; start_theirs; unset TCP_NODELAY; seconds $tool -aec ANY 127.0.0.1 "$theirs_port" "$work/files" >>"$work/c"; stop_theirs
  done
  echo "${tool%% *}: 45 objects, seconds: choana $(median <"$work/a") storescp $(median <"$work/b") storescp_nodelay $(median <"$work/c")"
done
