package slm.toolkit.core

/** Takes what a run says, line by line, on the thread that runs. An exception from [out] ends the run. */
interface RunOutput {
    /** A record or other output, with its line break. */
    fun out(line: ByteArray)

    /** The one line of a failure, with its line break. */
    fun error(line: ByteArray)
}

/**
 * The runner in this process: `libslm_ort.so` or `libslm_et.so`.
 *
 * It takes the arguments of the shell's runner and gives its exit codes (docs/runner.md). One object is one run.
 *
 * @param library "slm_ort" or "slm_et"; a process loads one of them.
 */
class NativeRunner(library: String) : AutoCloseable {
    private val handle: Long

    init {
        System.loadLibrary(library)
        handle = create()
    }

    /**
     * Carries out a command line. `--affinity` restricts the calling thread for good, so give it a thread of its own.
     *
     * @return the exit code.
     */
    fun run(arguments: List<ByteArray>, output: RunOutput): Int = run(handle, arguments.toTypedArray(), output)

    /** Ends the run between two steps, from any thread; its exit code is then that of SIGTERM. */
    fun cancel() = cancel(handle)

    /** Gives the mode `serve` requests, whole lines, from any thread; false where nobody reads any more. */
    fun tell(requests: ByteArray): Boolean = tell(handle, requests)

    /** No request follows, which ends the mode `serve`. */
    fun finish() = finish(handle)

    /** Once [run] has returned and nobody cancels any more. */
    override fun close() = destroy(handle)

    private external fun create(): Long

    private external fun destroy(handle: Long)

    private external fun cancel(handle: Long)

    private external fun tell(handle: Long, requests: ByteArray): Boolean

    private external fun finish(handle: Long)

    private external fun run(handle: Long, arguments: Array<ByteArray>, output: RunOutput): Int
}
