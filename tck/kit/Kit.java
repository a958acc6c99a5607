import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.eclipse.dataspacetck.core.spi.system.SystemLauncher;
import org.eclipse.dataspacetck.core.system.ConsoleMonitor;
import org.eclipse.dataspacetck.runtime.TckRuntime;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

/**
 * Runs one conformance kit and says what came out, one line for each test and one for all of them.
 *
 * <p>Usage: {@code Kit LAUNCHER PACKAGES SETTINGS [TEST]}: the kit's launcher class, the packages with its tests
 * (separated by commas), a properties file, and a regular expression that a test's name has to contain to be run.
 *
 * <p>The lines {@code TEST PASS|FAIL|SKIP name} and {@code RESULT ...} are for programs. The process ends with 0 when
 * every test that ran passed, with 1 when one did not, and with 2 when there was nothing to run.
 */
public final class Kit {
    /** A class of tests is a container: its name ends in "Test" or opens with a word and a colon. */
    private static final Predicate<String> CONTAINER = Pattern.compile("^\\w+: |Test$").asPredicate();

    private Kit() {}

    public static void main(String[] arguments) throws Exception {
        if (arguments.length < 3) {
            System.err.println("usage: Kit LAUNCHER PACKAGES SETTINGS [TEST]");
            System.exit(2);
        }
        var settings = read(Path.of(arguments[2]));
        var verbose = "true".equals(settings.get("dataspacetck.debug"));
        var kit = TckRuntime.Builder.newInstance()
                .launcher(Class.forName(arguments[0]).asSubclass(SystemLauncher.class))
                .properties(settings)
                .monitor(new ConsoleMonitor(verbose, false));
        for (var tests : arguments[1].split(",")) {
            kit.addPackage(tests);
        }
        if (arguments.length > 3) {
            kit.displayNameMatching(CONTAINER.or(Pattern.compile(arguments[3]).asPredicate()));
        }
        var summary = kit.build().execute();
        System.out.println(line(summary));
        System.out.flush();
        // Threads of the kit's HTTP client are still there; waiting for them can take for ever.
        Runtime.getRuntime().halt(status(summary));
    }

    private static Map<String, String> read(Path file) throws IOException {
        var properties = new Properties();
        try (var reader = Files.newBufferedReader(file)) {
            properties.load(reader);
        }
        return properties.stringPropertyNames().stream().collect(Collectors.toMap(
                name -> name, name -> properties.getProperty(name).strip(), (one, other) -> other, TreeMap::new));
    }

    private static String line(TestExecutionSummary summary) {
        return "RESULT found=%d passed=%d failed=%d skipped=%d aborted=%d broken-containers=%d".formatted(
                summary.getTestsFoundCount(), summary.getTestsSucceededCount(), summary.getTestsFailedCount(),
                summary.getTestsSkippedCount(), summary.getTestsAbortedCount(), summary.getContainersFailedCount());
    }

    private static int status(TestExecutionSummary summary) {
        var bad = summary.getTotalFailureCount() + summary.getTestsAbortedCount();
        if (bad > 0) {
            return 1;
        }
        return summary.getTestsSucceededCount() > 0 ? 0 : 2;
    }

    /** Tells each test's result as soon as it is known; the JUnit platform finds it as a service. */
    public static final class Results implements TestExecutionListener {
        @Override
        public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            var passed = result.getStatus() == TestExecutionResult.Status.SUCCESSFUL;
            if (test.isTest() || !passed) {
                tell(passed ? "PASS" : "FAIL", test, result.getThrowable().map(Throwable::toString).orElse(""));
            }
        }

        @Override
        public void executionSkipped(TestIdentifier test, String reason) {
            tell("SKIP", test, reason == null ? "" : reason);
        }

        private static void tell(String verdict, TestIdentifier test, String why) {
            var cause = why.lines().findFirst().map(first -> " | " + first).orElse("");
            System.out.printf("%nTEST %s %s%s%n", verdict, test.getDisplayName(), cause);
        }
    }
}
