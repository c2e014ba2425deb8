/**
 * Keeps ONNX Runtime's telemetry from starting in this process. Official builds have it on by default: on Linux and
 * macOS an uploader that keeps a device id and a queue in the user's cache folder and sends the graph's name and more
 * to a collector; the first variable, read once when the library starts, stops all of it. On Windows events go to the
 * system's own tracing (ETW), which the process cannot leave; by ONNX Runtime's sources the second variable, meant for
 * its own tests, keeps it from writing any. docs/security.md says what was measured.
 *
 * To be imported before `onnxruntime-node`, and by whatever else loads it.
 */
process.env.ORT_DISABLE_TELEMETRY = '1';
if (process.platform === 'win32') process.env.ORT_RUNNING_UNIT_TESTS = '1';
