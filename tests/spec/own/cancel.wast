;; Cancelling, as the specification has it after the published suite (component-model 705, 707, 715).

;; A callback's task f waits; another task g of its instance holds the instance in a synchronous read. A request to cancel f cannot be
;; delivered at once, but must be when g gets off.
(component definition $pending
  (component $C
    (core module $CM
      (import "" "task.cancel" (func $task.cancel))
      (import "" "task.return-g" (func $return-g))
      (import "" "future.read" (func $future.read (param i32 i32) (result i32)))
      (import "" "waitable-set.new" (func $new-set (result i32)))
      (func (export "f") (result i32) (i32.or (i32.const 2) (i32.shl (call $new-set) (i32.const 4))))
      (func (export "f_cb") (param i32 i32 i32) (result i32)
        (if (i32.ne (local.get 0) (i32.const 6)) (then unreachable))
        (call $task.cancel)
        (i32.const 0))
      (func (export "g") (param $fut i32) (result i32)
        (if (i32.ne (call $future.read (local.get $fut) (i32.const 0)) (i32.const 0)) (then unreachable))
        (call $return-g)
        (i32.const 0))
      (func (export "g_cb") (param i32 i32 i32) (result i32) unreachable))
    (type $FT (future))
    (canon task.cancel (core func $task.cancel))
    (canon task.return (core func $return-g))
    (canon future.read $FT (core func $future.read))
    (canon waitable-set.new (core func $new-set))
    (core instance $cm (instantiate $CM (with "" (instance
      (export "task.cancel" (func $task.cancel)) (export "task.return-g" (func $return-g))
      (export "future.read" (func $future.read)) (export "waitable-set.new" (func $new-set))))))
    (func (export "f") async (canon lift (core func $cm "f") async (callback (core func $cm "f_cb"))))
    (func (export "g") async (param "fut" $FT) (canon lift (core func $cm "g") async (callback (core func $cm "g_cb")))))
  (component $D
    (type $FT (future))
    (import "f" (func $f async))
    (import "g" (func $g async (param "fut" $FT)))
    (core module $Mem (memory (export "mem") 1))
    (core instance $mem (instantiate $Mem))
    (core module $DM
      (import "" "mem" (memory 1))
      (import "" "subtask.cancel" (func $cancel (param i32) (result i32)))
      (import "" "future.new" (func $future.new (result i64)))
      (import "" "future.write" (func $future.write (param i32 i32) (result i32)))
      (import "" "waitable.join" (func $join (param i32 i32)))
      (import "" "waitable-set.new" (func $new-set (result i32)))
      (import "" "waitable-set.wait" (func $wait (param i32 i32) (result i32)))
      (import "" "f" (func $f (result i32)))
      (import "" "g" (func $g (param i32) (result i32)))
      (func (export "run") (result i32)
        (local $r i32) (local $sf i32) (local $sg i32) (local $pair i64) (local $ws i32)
        (local.set $r (call $f))
        (if (i32.ne (i32.and (local.get $r) (i32.const 15)) (i32.const 1)) (then unreachable))
        (local.set $sf (i32.shr_u (local.get $r) (i32.const 4)))
        (local.set $pair (call $future.new))
        (local.set $r (call $g (i32.wrap_i64 (local.get $pair))))
        (if (i32.ne (i32.and (local.get $r) (i32.const 15)) (i32.const 1)) (then unreachable))
        (local.set $sg (i32.shr_u (local.get $r) (i32.const 4)))
        ;; f cannot run now: BLOCKED
        (if (i32.ne (call $cancel (local.get $sf)) (i32.const -1)) (then unreachable))
        ;; g gets what it waits for
        (if (i32.ne (call $future.write (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))) (i32.const 0)) (i32.const 0)) (then unreachable))
        ;; so f must be cancelled
        (local.set $ws (call $new-set))
        (call $join (local.get $sf) (local.get $ws))
        (if (i32.ne (call $wait (local.get $ws) (i32.const 0)) (i32.const 1)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 0)) (local.get $sf)) (then unreachable))
        (if (i32.ne (i32.load (i32.const 4)) (i32.const 4)) (then unreachable))
        (i32.const 0)))
    (canon subtask.cancel async (core func $cancel))
    (canon future.new $FT (core func $future.new))
    (canon future.write $FT async (core func $future.write))
    (canon waitable.join (core func $join))
    (canon waitable-set.new (core func $new-set))
    (canon waitable-set.wait (memory (core memory $mem "mem")) (core func $wait))
    (canon lower (func $f) async (core func $f'))
    (canon lower (func $g) async (core func $g'))
    (core instance $dm (instantiate $DM (with "" (instance
      (export "mem" (memory $mem "mem"))
      (export "subtask.cancel" (func $cancel)) (export "future.new" (func $future.new)) (export "future.write" (func $future.write))
      (export "waitable.join" (func $join)) (export "waitable-set.new" (func $new-set)) (export "waitable-set.wait" (func $wait))
      (export "f" (func $f')) (export "g" (func $g'))))))
    (func (export "run") async (result u32) (canon lift (core func $dm "run"))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "f" (func $c "f")) (with "g" (func $c "g"))))
  (export "run" (func $d "run")))
(component instance $i $pending)
(assert_return (invoke $i "run") (u32.const 0))

;; A subtask that is in a waitable set cannot be cancelled, asynchronously either.
(component definition $in-set
  (component $C
    (core module $CM
      (import "" "task.cancel" (func $task.cancel))
      (import "" "waitable-set.new" (func $new-set (result i32)))
      (func (export "f") (result i32) (i32.or (i32.const 2) (i32.shl (call $new-set) (i32.const 4))))
      (func (export "f_cb") (param i32 i32 i32) (result i32) (call $task.cancel) (i32.const 0)))
    (canon task.cancel (core func $task.cancel))
    (canon waitable-set.new (core func $new-set))
    (core instance $cm (instantiate $CM (with "" (instance (export "task.cancel" (func $task.cancel)) (export "waitable-set.new" (func $new-set))))))
    (func (export "f") async (canon lift (core func $cm "f") async (callback (core func $cm "f_cb")))))
  (component $D
    (import "f" (func $f async))
    (core module $DM
      (import "" "subtask.cancel" (func $cancel (param i32) (result i32)))
      (import "" "waitable.join" (func $join (param i32 i32)))
      (import "" "waitable-set.new" (func $new-set (result i32)))
      (import "" "f" (func $f (result i32)))
      (func (export "run") (result i32) (local $s i32)
        (local.set $s (i32.shr_u (call $f) (i32.const 4)))
        (call $join (local.get $s) (call $new-set))
        (drop (call $cancel (local.get $s)))
        (i32.const 0)))
    (canon subtask.cancel async (core func $cancel))
    (canon waitable.join (core func $join))
    (canon waitable-set.new (core func $new-set))
    (canon lower (func $f) async (core func $f'))
    (core instance $dm (instantiate $DM (with "" (instance
      (export "subtask.cancel" (func $cancel)) (export "waitable.join" (func $join)) (export "waitable-set.new" (func $new-set)) (export "f" (func $f'))))))
    (func (export "run") async (result u32) (canon lift (core func $dm "run"))))
  (instance $c (instantiate $C))
  (instance $d (instantiate $D (with "f" (func $c "f"))))
  (export "run" (func $d "run")))
(component instance $i $in-set)
(assert_trap (invoke $i "run") "waitable cannot be used synchronously while added to a waitable set")

;; A thread cannot promote itself (687).
(component definition $self
  (core module $M
    (import "" "index" (func $index (result i32)))
    (import "" "promote" (func $promote (param i32) (result i32)))
    (func (export "run") (result i32) (call $promote (call $index))))
  (core func $index (canon thread.index))
  (core func $promote (canon thread.yield-then-promote))
  (core instance $m (instantiate $M (with "" (instance (export "index" (func $index)) (export "promote" (func $promote))))))
  (func (export "run") (result u32) (canon lift (core func $m "run"))))
(component instance $i $self)
(assert_trap (invoke $i "run") "cannot promote the current thread")

;; task.return gives a memory where the function has none.
(component definition $memory
  (core module $Libc (memory (export "memory") 1))
  (core instance $libc (instantiate $Libc))
  (core module $M (import "" "return" (func $return)) (func (export "run") (call $return)))
  (core func $return (canon task.return (memory (core memory $libc "memory"))))
  (core instance $m (instantiate $M (with "" (instance (export "return" (func $return))))))
  (func (export "run") async (canon lift (core func $m "run") async)))
(component instance $i $memory)
(assert_trap (invoke $i "run") "task.return's type or options are not those of the function")
