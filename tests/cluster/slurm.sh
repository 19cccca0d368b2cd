#!/usr/bin/env bash
# A real Slurm on this one machine, for tests: munged, slurmctld and slurmd as plain processes on
# the loopback device. Needs root and Debian 12. No cgroups and no accounting, so memory limits are
# not enforced. CPUs are advertised four at least, so that tiny jobs run side by side.
#   slurm.sh start | stop | restart-controller
set -euo pipefail
STATE=${SLURM_STATE:-/var/lib/stillhouse-slurm}
CONF=/etc/slurm/slurm.conf
HOST=$(hostname -s)
CPUS=$(nproc); [ "$CPUS" -ge 4 ] || CPUS=4
MEMORY=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)

runs() { [ -s "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

end() {
    runs "$1" || return 0
    local pid; pid=$(cat "$1")
    kill "$pid"
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || return 0; sleep 0.1; done
    kill -9 "$pid"
}

install() {
    [ -x /usr/sbin/slurmctld ] && [ -x /usr/sbin/slurmd ] && [ -x /usr/sbin/munged ] && [ -x /usr/bin/rsync ] && return
    export DEBIAN_FRONTEND=noninteractive
    local get="apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge rsync"
    $get > /dev/null 2>&1 || { apt-get update -qq && $get > /dev/null; }
}

configure() {
    mkdir -p "$STATE/controller" "$STATE/node" /etc/slurm /run/munge /var/log/munge /var/lib/munge
    [ -s /etc/munge/munge.key ] || dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none
    chown munge: /etc/munge/munge.key /run/munge /var/log/munge /var/lib/munge
    chmod 400 /etc/munge/munge.key
    chmod 755 /run/munge
    getent hosts "$HOST" > /dev/null || echo "127.0.0.1 $HOST" >> /etc/hosts
    cat > "$CONF" <<EOF
ClusterName=stillhouse
SlurmctldHost=$HOST(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CryptoType=crypto/munge
StateSaveLocation=$STATE/controller
SlurmdSpoolDir=$STATE/node
SlurmctldPidFile=$STATE/slurmctld.pid
SlurmdPidFile=$STATE/slurmd.pid
SlurmctldLogFile=$STATE/slurmctld.log
SlurmdLogFile=$STATE/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0
ReturnToService=2
MinJobAge=300
KillWait=8
OverTimeLimit=0
MessageTimeout=10
SlurmctldTimeout=30
SlurmdTimeout=30
UnkillableStepTimeout=10
SlurmdParameters=config_overrides
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=$CPUS RealMemory=$MEMORY State=UNKNOWN
PartitionName=gpu_1 Nodes=$HOST Default=YES MaxTime=60 DefaultTime=5 State=UP OverSubscribe=NO
EOF
}

wait_up() {
    for _ in $(seq 300); do
        case "$(sinfo -h -o %t 2>/dev/null || true)" in
            idle | mix | alloc) return 0 ;;
            down* | drain*) scontrol update nodename="$HOST" state=resume || true ;;
        esac
        sleep 0.2
    done
    echo "slurm did not come up" >&2
    tail -20 "$STATE"/*.log >&2
    return 1
}

case "${1:-start}" in
    start)
        install
        runs /run/munge/munged.pid || { configure; runuser -u munge -- /usr/sbin/munged --force; }
        configure
        runs "$STATE/slurmctld.pid" || /usr/sbin/slurmctld
        runs "$STATE/slurmd.pid" || /usr/sbin/slurmd
        wait_up
        ;;
    stop)
        scancel --user=root 2>/dev/null || true
        for pid in "$STATE/slurmd.pid" "$STATE/slurmctld.pid" /run/munge/munged.pid; do end "$pid"; done
        ;;
    restart-controller)
        end "$STATE/slurmctld.pid"
        sleep "${2:-2}"
        /usr/sbin/slurmctld
        ;;
    *) echo "usage: slurm.sh start | stop | restart-controller [SECONDS DOWN]" >&2; exit 2 ;;
esac
