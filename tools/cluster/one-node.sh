#!/bin/sh
# The Slurm example (docs/cluster/slurm.sh) as a cluster runs it, on this machine alone: a Slurm of one node is started in
# a folder of its own, one task of the array is killed while it runs and submitted again, the parts are merged, and the
# result is held against a survey by one process, byte by byte. Afterwards the node is stopped.
#
#   npm run build && sh tools/cluster/one-node.sh [sequences] [length]
#
# It takes slurmctld, slurmd, sbatch and scancel from the PATH. Where they were only unpacked (`dpkg -x` of slurmctld,
# slurmd, slurm-client, slurm-wlm-basic-plugins and what they name), SLURM_ROOT is the folder with their usr/.
set -eu

sequences=${1:-160} length=${2:-64}
here=$(cd "$(dirname "$0")/../.." && pwd)
root=${SLURM_ROOT:-}
work=$(mktemp -d)
if [ -n "$root" ]; then
  libraries=$(dirname "$(find "$root/usr/lib" -name libslurmfull.so | head -n 1)")
  export LD_LIBRARY_PATH="$(dirname "$libraries"):$libraries" PATH="$root/usr/bin:$root/usr/sbin:$PATH"
fi
# Debian's names, else those of Slurm itself.
program() { command -v "$1-wlm" || command -v "$1"; }
controller=$(program slurmctld) node=$(program slurmd) steps=$(program slurmstepd)
plugins=${libraries:-$(dirname "$(find /usr/lib /usr/lib64 -name libslurmfull.so 2>/dev/null | head -n 1)")}

export SLURM_CONF="$work/slurm.conf"
name=$(hostname -s)
# Without munge: whoever can log in here can submit, which is what this is for.
cat > "$SLURM_CONF" <<CONF
ClusterName=one
SlurmctldHost=$name(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/none
CredType=cred/none
PluginDir=$plugins
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/controller.pid
SlurmdPidFile=$work/node.pid
SlurmctldLogFile=$work/controller.log
SlurmdLogFile=$work/node.log
SlurmctldPort=26817
SlurmdPort=26818
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
ReturnToService=2
NodeName=$name NodeAddr=127.0.0.1 CPUs=4 RealMemory=16000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
stop() {
  for pid in "$work/node.pid" "$work/controller.pid"; do [ ! -f "$pid" ] || kill "$(cat "$pid")" || true; done
}
trap stop EXIT
mkdir -p "$work/state" "$work/spool" "$work/bin" "$work/job"
"$controller" -c -i
"$node" -N "$name" -d "$steps"

# `sinkscope` as it is built here.
printf '#!/bin/sh\nexec node "%s/dist/cli.js" "$@"\n' "$here" > "$work/bin/sinkscope"
chmod +x "$work/bin/sinkscope"
export PATH="$work/bin:$PATH" MODEL="$here/media/models/llama-plain/model.onnx"
export CORPUS="$here/test/text/three-men-in-a-boat.md"
cd "$work/job"
# The example itself, with fewer and shorter sequences.
sed "s/--sequences 1000 --length 512/--sequences $sequences --length $length/" "$here/docs/cluster/slurm.sh" > job.sh
! cmp -s job.sh "$here/docs/cluster/slurm.sh" || { echo "the example says no --sequences 1000 --length 512"; exit 1; }

killed=3
all=$(sbatch --parsable job.sh)
# The task is killed when it has done a part of its work, from where the second try goes on.
until ls parts 2> /dev/null | grep -q -- "-$killed-of-"; do sleep 0.2; done
scancel --signal=KILL --full "${all}_$killed"
while squeue --noheader --jobs "$all" | grep -q .; do sleep 0.5; done
before=$(ls parts | wc -l)
if sinkscope merge parts/*.json --save none.json 2> refused.txt; then
  echo "task $killed had ended before it was killed"
else
  cat refused.txt
fi
sbatch --parsable --wait --array="$killed" job.sh
echo "$before parts before the second try, $(ls parts | wc -l) after it"

sinkscope merge parts/*.json --save merged.json > /dev/null
sinkscope survey "$MODEL" --file "$CORPUS" --sequences "$sequences" --length "$length" --save whole.json > /dev/null
# Beside what was found they name the files they are from.
node -e '
  const found = (file) => {
    const { settings, shard, records } = JSON.parse(require("fs").readFileSync(file, "utf8"));
    return { settings, shard, records };
  };
  const [merged, whole] = ["merged.json", "whole.json"].map((file) => JSON.stringify(found(file)));
  if (merged !== whole) throw new Error("merged.json and whole.json differ in what was found");
  console.log(`${JSON.parse(whole).records.length} sequences, bit-equal`);
'
echo "kept in $work"
