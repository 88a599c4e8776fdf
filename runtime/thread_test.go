package runtime

import goruntime "runtime"

func lockThread() { goruntime.LockOSThread() }
