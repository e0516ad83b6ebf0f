// A CGI guest in Kotlin/Wasm: collected objects, casts, exceptions, strings. kotlin.wasm is made of it by the Kotlin compiler 2.3.0
// (of Maven: org.jetbrains.kotlin:kotlin-compiler-embeddable with what it depends on, and kotlin-stdlib-wasm-wasi as a klib):
//   C="java -cp lib/* org.jetbrains.kotlin.cli.js.K2JSCompiler -Xwasm -Xwasm-target=wasm-wasi -ir-output-name main"
//   $C -libraries stdlib.klib -ir-output-dir out -Xir-produce-klib-file kotlin.kt
//   $C -libraries stdlib.klib:out/main.klib -ir-output-dir out -Xir-produce-js -Xir-dce -Xinclude=out/main.klib
//   wasm-tools strip -a out/main.wasm -o kotlin.wasm
// The compiler runs main() in what it exports as _initialize; there is no _start.
@file:OptIn(kotlin.wasm.unsafe.UnsafeWasmMemoryApi::class, kotlin.wasm.ExperimentalWasmInterop::class)

import kotlin.wasm.unsafe.*

@kotlin.wasm.WasmImport("wasi_snapshot_preview1", "environ_sizes_get")
private external fun environSizesGet(count: Int, bytes: Int): Int

@kotlin.wasm.WasmImport("wasi_snapshot_preview1", "environ_get")
private external fun environGet(words: Int, bytes: Int): Int

fun environment(): Map<String, String> = withScopedMemoryAllocator { m ->
    val sizes = m.allocate(8)
    environSizesGet(sizes.address.toInt(), (sizes + 4).address.toInt())
    val count = sizes.loadInt()
    val words = m.allocate(4 * count + 4)
    val bytes = m.allocate((sizes + 4).loadInt() + 1)
    environGet(words.address.toInt(), bytes.address.toInt())
    (0 until count).associate { i ->
        var p = Pointer((words + 4 * i).loadInt().toUInt())
        val text = ArrayList<Byte>()
        while (p.loadByte() != 0.toByte()) { text.add(p.loadByte()); p += 1 }
        val line = text.toByteArray().decodeToString()
        line.substringBefore('=') to line.substringAfter('=')
    }
}

sealed interface Expr
data class Num(val v: Double) : Expr
data class Bin(val op: Char, val l: Expr, val r: Expr) : Expr

fun eval(e: Expr): Double = when (e) {
    is Num -> e.v
    is Bin -> {
        val a = eval(e.l)
        val b = eval(e.r)
        when (e.op) {
            '+' -> a + b
            '-' -> a - b
            '*' -> a * b
            else -> if (b == 0.0) throw ArithmeticException("division by zero") else a / b
        }
    }
}

class Parser(private val s: String) {
    private var i = 0
    private fun peek() = if (i < s.length) s[i] else ' '
    fun sum(): Expr {
        var l = product()
        while (peek() == '+' || peek() == '-') l = Bin(s[i++], l, product())
        return l
    }
    private fun product(): Expr {
        var l = atom()
        while (peek() == '*' || peek() == '/') l = Bin(s[i++], l, atom())
        return l
    }
    private fun atom(): Expr {
        if (peek() == '(') {
            i++
            return sum().also { i++ }
        }
        val from = i
        while (peek().isDigit()) i++
        return Num(s.substring(from, i).toDouble())
    }
}

// Outlives no request: a second one in the same slot must see it empty.
val seen = HashSet<String>()

fun compute(n: Int): String {
    val counts = HashMap<String, Int>()
    var x = 42L
    for (i in 0 until n * 1000) {
        x = x * 6364136223846793005L + 1442695040888963407L
        val key = "key" + ((x ushr 33) % 500)
        counts[key] = (counts[key] ?: 0) + 1
    }
    val top = counts.entries.sortedWith(compareBy({ -it.value }, { it.key })).take(3).joinToString(",") { "${it.key}:${it.value}" }
    val trees = (1..n).sumOf { eval(Parser("(1+2)*3-(4+$it)/2").sum()) }
    val failures = (1..n).count { try { eval(Parser("$it/0").sum()); false } catch (e: ArithmeticException) { true } }
    val words = buildString { for (i in 0 until n) append("w$i ") }.trim().split(' ').sortedDescending().take(2)
    return "n=$n counts=${counts.size} top=$top trees=$trees failures=$failures words=$words"
}

fun main() {
    val env = environment()
    val path = env["PATH_INFO"] ?: "/"
    val n = env["QUERY_STRING"]?.substringAfter("n=", "")?.toIntOrNull() ?: 0
    print("Content-Type: text/plain\r\n\r\n")
    when (path) {
        "/compute" -> println(compute(n))
        "/leak" -> { // reachable to the end: the limit is met
            val all = ArrayList<LongArray>()
            while (true) all.add(LongArray(100_000))
        }
        "/cast" -> println((seen as Any as String).length)
        else -> {
            println("Hello from Kotlin (WASI preview 1 CGI), seen ${seen.size}")
            seen.add(path)
        }
    }
}
