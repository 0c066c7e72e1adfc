// Does the steps that its arguments name, in order; ends with the reply at the first that is refused.
//
// What the harness asks of every client, by the methods of Apache commons-net.
// Arguments: host port passive|active user password folder mode, then the steps; how it is protected stands in the
// environment.

import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import org.apache.commons.net.ftp.FTP;
import org.apache.commons.net.ftp.FTPClient;

public final class CommonsNet {
    private static final DateTimeFormatter STAMP =
            DateTimeFormatter.ofPattern("yyyyMMddHHmmss").withZone(ZoneOffset.UTC);

    private final FTPClient ftp;
    private final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    public static void main(String[] arguments) throws Exception {
        String tls = System.getenv("INTEROP_TLS");
        CommonsNet client = new CommonsNet(tls == null ? new FTPClient() : new Resuming(tls.equals("implicit")));
        try {
            client.run(arguments);
        } catch (IOException broken) {
            // A data connection that the server ends says little; what it says on the control connection comes first.
            if (client.ftp.isConnected()) {
                client.ftp.getReply();
                System.err.println(client.ftp.getReplyString());
            }
            throw broken;
        }
    }

    private CommonsNet(FTPClient ftp) {
        this.ftp = ftp;
    }

    private void run(String[] arguments) throws IOException {
        ftp.setControlEncoding("UTF-8");
        ftp.setDefaultTimeout(30000);
        ftp.setUseEPSVwithIPv4(arguments[6].equals("EPSV"));
        ftp.connect(arguments[0], Integer.parseInt(arguments[1]));
        check(ftp.login(arguments[3], arguments[4]));
        if (ftp instanceof Resuming) {
            ((Resuming) ftp).execPBSZ(0);
            ((Resuming) ftp).execPROT("P");
        }
        if (arguments[2].equals("passive")) {
            ftp.enterLocalPassiveMode();
        }
        check(ftp.changeWorkingDirectory(arguments[5]));
        check(ftp.setFileType(FTP.BINARY_FILE_TYPE));
        int next = 7;
        while (next < arguments.length) {
            String step = arguments[next];
            String name = arguments[next + 1];
            switch (step) {
                case "list":
                    list(name);
                    break;
                case "make-folder":
                    check(ftp.makeDirectory(name));
                    break;
                case "remove-folder":
                    check(ftp.removeDirectory(name));
                    break;
                case "stop-get":
                    stopGet(name);
                    break;
                case "delete":
                    check(ftp.deleteFile(name));
                    break;
                default:
                    withTwoNames(step, name, arguments[next + 2]);
                    next++;
            }
            next += 2;
        }
        ftp.logout();
        ftp.disconnect();
    }

    private void withTwoNames(String step, String from, String to) throws IOException {
        switch (step) {
            case "put":
                put(from, to);
                break;
            case "put-text":
                check(ftp.setFileType(FTP.ASCII_FILE_TYPE));
                put(from, to);
                check(ftp.setFileType(FTP.BINARY_FILE_TYPE));
                break;
            case "put-dated":
                put(from, to);
                Instant time = Files.getLastModifiedTime(Paths.get(from)).toInstant();
                check(ftp.setModificationTime(to, STAMP.format(time)));
                break;
            case "append":
                try (InputStream file = new FileInputStream(from)) {
                    check(ftp.appendFile(to, file));
                }
                break;
            case "resume-put":
                try (FileInputStream file = new FileInputStream(from)) {
                    long offset = Long.parseLong(ftp.getSize(to));
                    file.getChannel().position(offset);
                    ftp.setRestartOffset(offset);
                    check(ftp.storeFile(to, file));
                }
                break;
            case "get":
                get(from, to, false);
                break;
            case "get-text":
                check(ftp.setFileType(FTP.ASCII_FILE_TYPE));
                get(from, to, false);
                check(ftp.setFileType(FTP.BINARY_FILE_TYPE));
                break;
            case "get-dated":
                get(from, to, false);
                Instant modified = ftp.mdtmInstant(from);
                Files.setLastModifiedTime(Paths.get(to), FileTime.from(modified));
                break;
            case "resume-get":
                ftp.setRestartOffset(Files.size(Paths.get(to)));
                get(from, to, true);
                break;
            case "rename":
                check(ftp.rename(from, to));
                break;
            default:
                throw new IllegalArgumentException(step);
        }
    }

    private void put(String from, String to) throws IOException {
        try (InputStream file = new FileInputStream(from)) {
            check(ftp.storeFile(to, file));
        }
    }

    private void get(String from, String to, boolean isAppended) throws IOException {
        Path path = Paths.get(to);
        try (OutputStream file = new FileOutputStream(path.toFile(), isAppended)) {
            check(ftp.retrieveFile(from, file));
        }
    }

    private void stopGet(String from) throws IOException {
        InputStream data = ftp.retrieveFileStream(from);
        check(data != null);
        data.readNBytes(65536);
        // The answer to the transfer comes before that to ABOR.
        check(!ftp.abort() && ftp.getReplyCode() == 426);
        check(ftp.completePendingCommand());
        data.close();
    }

    private void list(String folder) throws IOException {
        String[] names = ftp.listNames(folder);
        check(names != null);
        for (String name : names) {
            out.println(name);
        }
    }

    private void check(boolean isGood) {
        if (!isGood) {
            System.err.println(ftp.getReplyString());
            System.exit(1);
        }
    }
}
