package slm.toolkit.core

import java.io.File
import java.io.IOException

/**
 * The run of this process: one in its life, whoever asks for more. An activity that Android makes anew finds it here.
 *
 * @param runs the folder of all runs.
 */
class RunSlot(private val runs: File) {
    /** What was begun; null before. */
    var session: RunSession? = null
        @Synchronized get
        private set

    /**
     * Begins a run, which [RunSession.run] then carries out.
     *
     * @param id as it came from outside.
     * @throws ContractError it is no run to start, or was started already, or this process has one: that goes on as it was.
     */
    @Synchronized
    fun begin(id: String?, session: (RunFolder) -> RunSession): RunSession {
        val folder = preparedRun(runs, id)
        this.session?.let { throw ContractError("run ${it.id} is in this process") }
        return try {
            folder.begin()
            session(folder).also { this.session = it }
        } catch (failed: IOException) {
            folder.file(RunFolder.BEGUN).delete()
            throw ContractError("run $id cannot begin: ${failed.message}")
        }
    }
}
