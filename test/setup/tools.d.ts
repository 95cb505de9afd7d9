/** Programs the tests use beyond npm's packages. `test/run.sh` installs them; `test/setup/tools.sh` names their packages. */
export declare const TOOLS: readonly ['nginx', 'haproxy', 'wrk', 'h2load', 'openssl', 'curl'];
export type Tool = (typeof TOOLS)[number];
/**
 * Options for a test that needs these tools: `test('...', needs('nginx'), () => ...)`.
 * Skips only what a developer left out by name in SALLYPORT_TEST_WITHOUT; a tool that is missing lets the test run and fail.
 */
export declare function needs(...tools: Tool[]): {
    skip: string | false;
};
/** Where a tool lies, looked up in PATH and the folders of servers; throws a plain message when it is nowhere. */
export declare function toolPath(tool: Tool): string;
