#!/bin/bash
# cluster.sh up|down FOLDER: a throw-away SLURM of two nodes on this host, without systemd, munge or a database.
# Needs root and Debian's slurm-wlm (22.05). After "up":
#   export SLURM_CONF=FOLDER/slurm.conf PATH=FOLDER/bin:$PATH
set -euo pipefail
export PATH=$PATH:/usr/sbin
cmd=$1 R=$2 NODES=${NODES:-2} CPUS=${CPUS:-4} GPUS=${GPUS:-2} PORT=${PORT:-16817}
export SLURM_CONF=$R/slurm.conf
if [ "$cmd" = down ]; then
  for f in "$R"/slurmd.*.pid "$R"/slurmctld.pid; do [ -s "$f" ] && kill "$(cat "$f")" 2>/dev/null || true; done
  exit 0
fi
rm -rf "$R"; mkdir -p "$R"/{state,log,bin}
cat > "$R/gres.conf" <<CONF
AutoDetect=off
NodeName=n[1-$NODES] Name=gpu Type=fake File=/dev/tty[0-$((GPUS-1))]
CONF
cat > "$R/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
KillWait=5
SlurmdTimeout=15
MinJobAge=3600
MaxArraySize=1001
MaxJobCount=10000
FirstJobId=$(( $(date +%s) % 6000000 + 1 ))
MailProg=/bin/true
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
JobAcctGatherType=jobacct_gather/none
StateSaveLocation=$R/state
SlurmdSpoolDir=$R/spool.%n
SlurmctldPidFile=$R/slurmctld.pid
SlurmdPidFile=$R/slurmd.%n.pid
SlurmctldLogFile=$R/log/slurmctld.log
SlurmdLogFile=$R/log/slurmd.%n.log
CONF
for i in $(seq 1 "$NODES"); do
  echo "NodeName=n$i NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((PORT+10+i)) CPUs=$CPUS RealMemory=8000 Gres=gpu:fake:$GPUS State=UNKNOWN"
done >> "$R/slurm.conf"
echo "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP" >> "$R/slurm.conf"
cat > "$R/bin/sacct" <<'PY'
#!/usr/bin/env python3
"""sacct stand-in for a cluster without accounting: answers submitit's one query
(-o JobID,State,NodeList --parsable2 -j ID ...) from scontrol; needs MinJobAge > submitit's poll gap."""
import subprocess
import sys

print("JobID|State|NodeList")
for flag, jid in zip(sys.argv, sys.argv[1:]):
    if flag != "-j":
        continue
    out = subprocess.run(["scontrol", "-o", "show", "job", jid], capture_output=True, text=True).stdout
    for line in out.splitlines():
        kv = dict(t.split("=", 1) for t in line.split() if "=" in t)
        if "JobId" not in kv:
            continue
        name = kv["JobId"]
        if "ArrayJobId" in kv:
            task = kv["ArrayTaskId"]
            name = kv["ArrayJobId"] + "_" + (task if task.isdigit() else f"[{task}]")
        print(f"{name}|{kv['JobState']}|{kv.get('NodeList', '')}")
PY
chmod +x "$R/bin/sacct"
slurmctld
for i in $(seq 1 "$NODES"); do mkdir -p "$R/spool.n$i"; slurmd -N "n$i"; done
for _ in $(seq 100); do
  [ "$(sinfo -h -N -t idle -o %N 2>/dev/null | wc -l)" = "$NODES" ] && { sinfo -N; exit 0; }
  sleep 0.1
done
echo "cluster did not come up" >&2; tail -n 20 "$R"/log/*.log >&2; exit 1
