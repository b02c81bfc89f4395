"""A virtual phone's `am`, `pm`, `content`, `input` and `wm`: scripts that know one app, that of `slm app`.

An installed app is a folder of /data/app with a program ``emulated``, which plays Android to the app's own
code. Their words are those of Android 14 as far as anybody reads them here.
"""

from __future__ import annotations

from toolkit.devices.virtual.conditions import STATE_FOLDER

_PM = """#!/system/bin/sh
# pm install [-FLAG ...] FILE | pm path PACKAGE | pm uninstall PACKAGE
case "$1" in
  path)
    [ -f "/data/app/$2/base.apk" ] || exit 1
    echo "package:/data/app/$2/base.apk"
    ;;
  install)
    shift
    while [ "${1#-}" != "$1" ]; do shift; done
    new=/data/app/.new
    rm -rf "$new"
    mkdir -p "$new"
    if ! unzip -q -o "$1" -d "$new" 2>/dev/null || [ ! -f "$new/package" ]; then
      rm -rf "$new"
      echo "Failure [INSTALL_PARSE_FAILED_NOT_APK: no app for virtual phones: $1]"
      exit 1
    fi
    name=$(cat "$new/package")
    chmod -R 755 "$new"
    cp "$1" "$new/base.apk"
    rm -rf "/data/app/$name"
    mv "$new" "/data/app/$name"
    echo Success
    ;;
  uninstall)
    [ -d "/data/app/$2" ] || { echo "Failure [DELETE_FAILED_INTERNAL_ERROR]"; exit 1; }
    sh "/data/app/$2/emulated" stop
    rm -rf "/data/app/$2" "/data/data/$2"
    echo Success
    ;;
esac
"""

_AM = f"""#!/system/bin/sh
# am start [-W] -n PACKAGE/ACTIVITY --es run_id ID | am start -a android.intent.action.MAIN -c HOME
# am start-foreground-service -n PACKAGE/SERVICE --es run_id ID | am force-stop PACKAGE
verb=$1
shift
if [ "$verb" = force-stop ]; then
  [ ! -d "/data/app/$1" ] || sh "/data/app/$1/emulated" stop
  exit 0
fi
state=activity
[ "$verb" = start ] || state=service
home=
while [ $# -gt 0 ]; do
  case "$1" in
    -n) component=$2; shift 2 ;;
    -c) [ "$2" != android.intent.category.HOME ] || home=yes; shift 2 ;;
    --es) run=$3; shift 3 ;;
    *) shift ;;
  esac
done
if [ "$home" ]; then
  for app in /data/app/*; do [ ! -f "$app/emulated" ] || sh "$app/emulated" home; done
  echo "Starting: Intent {{ act=android.intent.action.MAIN cat=[android.intent.category.HOME] }}"
  exit 0
fi
[ "$state" = activity ] || echo "Starting service: Intent {{ cmp=$component (has extras) }}"
[ "$state" = service ] || echo "Starting: Intent {{ cmp=$component (has extras) }}"
app=/data/app/${{component%%/*}}
if [ ! -d "$app" ] && [ "$state" = service ]; then
  echo "Error: Not found; no service started."
  exit 1
fi
if [ ! -d "$app" ]; then
  echo "Error type 3"
  echo "Error: Activity class {{$component}} does not exist."
  exit 1
fi
sh "$app/emulated" start "$run" "$state" || exit 1
[ "$state" = activity ] || exit 0
# Behind a dark or locked screen Android stops an activity as it does behind another app.
cd /{STATE_FOLDER}
if grep -q '"screen_on": false' conditions.json || grep -q '"lock": "pin"' conditions.json; then
  sh "$app/emulated" home
fi
echo "Status: ok"
echo "Complete"
"""

_CONTENT = """#!/system/bin/sh
# content VERB --uri content://PACKAGE.runs/PATH ...
verb=$1
shift
uri=$2
authority=${uri#content://}
authority=${authority%%/*}
app=/data/app/${authority%.runs}
if [ ! -d "$app" ]; then
  echo "[ERROR] Could not find provider: $authority" >&2
  exit 0
fi
exec sh "$app/emulated" content "$verb" "$@"
"""

# What changes a condition changes what the host reads of it, too.
_INPUT = f"""#!/system/bin/sh
# input keyevent KEYCODE_WAKEUP | KEYCODE_SLEEP
cd /{STATE_FOLDER}
case "$2" in
  KEYCODE_WAKEUP)
    sed -i 's/Asleep/Awake/; s/mInteractive=false/mInteractive=true/; s/state=OFF/state=ON/' power.txt
    sed -i 's/"screen_on": false/"screen_on": true/' conditions.json
    ;;
  KEYCODE_SLEEP)
    sed -i 's/Awake/Asleep/; s/mInteractive=true/mInteractive=false/; s/state=ON/state=OFF/' power.txt
    sed -i 's/"screen_on": true/"screen_on": false/' conditions.json
    grep -q '"lock": "none"' conditions.json || sed -i 's/Showing=false/Showing=true/' activity.txt
    ;;
esac
"""

_WM = f"""#!/system/bin/sh
# wm dismiss-keyguard
cd /{STATE_FOLDER}
grep -q '"lock": "pin"' conditions.json || sed -i 's/Showing=true/Showing=false/' activity.txt
"""

SCRIPTS = {"am": _AM, "content": _CONTENT, "input": _INPUT, "pm": _PM, "wm": _WM}
