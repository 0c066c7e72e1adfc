// FTPS of Apache commons-net with one certificate to trust, one version, and data connections that resume the session of
// the control connection.
//
// The library has no method for that, and Java finds sessions by host and port. So before a data connection shakes hands,
// the session is put under its host and port, by reflection into the provider of Java's TLS. Of TLS 1.3 each session
// can be used once; every ticket is one, and where none is left the connection does without.

import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.net.Socket;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Collections;
import java.util.HashSet;
import java.util.Locale;
import java.util.Set;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSession;
import javax.net.ssl.SSLSessionContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;
import org.apache.commons.net.ftp.FTPSClient;

final class Resuming extends FTPSClient {
    private final boolean resumes = System.getenv("INTEROP_TLS_RESUMES").equals("yes");
    private final boolean isSingleUse = System.getenv("INTEROP_TLS_VERSION").equals("1.3");
    private final Set<String> used = new HashSet<>();

    Resuming(boolean isImplicit) throws Exception {
        super(isImplicit, context());
        setEnabledProtocols(new String[] {"TLSv" + System.getenv("INTEROP_TLS_VERSION")});
        setEndpointCheckingEnabled(true);
    }

    private static SSLContext context() throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null);
        try (InputStream file = new FileInputStream(System.getenv("INTEROP_TLS_AUTHORITY"))) {
            trusted.setCertificateEntry("authority", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context;
    }

    @Override
    protected void _prepareDataSocket_(Socket socket) throws IOException {
        if (!(socket instanceof SSLSocket)) {
            return;
        }
        // A session is only resumed by a socket that checks as the first one did.
        SSLParameters parameters = ((SSLSocket) socket).getSSLParameters();
        parameters.setEndpointIdentificationAlgorithm("HTTPS");
        ((SSLSocket) socket).setSSLParameters(parameters);
        if (!resumes) {
            return;
        }
        SSLSession session = session();
        if (session == null) {
            return;
        }
        try {
            Field field = session.getSessionContext().getClass().getDeclaredField("sessionHostPortCache");
            field.setAccessible(true);
            Object cache = field.get(session.getSessionContext());
            Method put = cache.getClass().getDeclaredMethod("put", Object.class, Object.class);
            put.setAccessible(true);
            String address = socket.getInetAddress().getHostAddress();
            put.invoke(cache, (address + ":" + socket.getPort()).toLowerCase(Locale.ROOT), session);
        } catch (ReflectiveOperationException | RuntimeException error) {
            throw new IOException("the session cannot be handed on", error);
        }
    }

    /** The session of the control connection, or one by a ticket that was not used yet; null without any. */
    private SSLSession session() {
        SSLSession control = ((SSLSocket) _socket_).getSession();
        if (!isSingleUse) {
            return control;
        }
        SSLSessionContext sessions = control.getSessionContext();
        for (byte[] id : Collections.list(sessions.getIds())) {
            SSLSession session = sessions.getSession(id);
            if (session != null && session != control && used.add(new String(id, java.nio.charset.StandardCharsets.ISO_8859_1))) {
                return session;
            }
        }
        return null;
    }
}
