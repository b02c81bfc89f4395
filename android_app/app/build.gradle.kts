import java.util.Properties

plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

val versions = Properties().apply { rootDir.resolve("versions.properties").reader().use(::load) }
fun version(name: String): String = versions.getProperty(name)

// ONNX Runtime's headers and libraries, put there by `slm app build`.
val prebuilt = rootDir.resolve("prebuilt")

// ExecuTorch for Android exists as sources only. Where it was built, in a folder per ABI: -PexecutorchPrefix=FOLDER.
val executorch = providers.gradleProperty("executorchPrefix").orNull?.let(rootDir::resolve)

android {
    namespace = "slm.toolkit.app"
    compileSdk = version("compileSdk").toInt()
    ndkVersion = version("ndk")

    defaultConfig {
        applicationId = version("applicationId")
        minSdk = version("minSdk").toInt()
        targetSdk = version("targetSdk").toInt()
        versionCode = version("versionCode").toInt()
        versionName = version("versionName")
        ndk {
            abiFilters += version("abis").split(",")
        }
        externalNativeBuild {
            cmake {
                arguments += listOf(
                    "-DANDROID_STL=c++_static",
                    "-DANDROID_SUPPORT_FLEXIBLE_PAGE_SIZES=ON",
                    "-DORT_INCLUDE_DIR=$prebuilt/onnxruntime/include",
                    "-DSLM_WARNINGS_AS_ERRORS=OFF",
                )
                // Nothing else of the runner is built: no executables, no tests.
                targets += "slm_ort"
                if (executorch != null) {
                    arguments += listOf(
                        "-DSLM_ENGINE_EXECUTORCH=ON",
                        "-DSLM_EXECUTORCH_PREFIX=$executorch",
                        // It lies outside of the NDK.
                        "-DCMAKE_FIND_ROOT_PATH_MODE_PACKAGE=BOTH",
                    )
                    targets += "slm_et"
                }
            }
        }
    }

    externalNativeBuild {
        cmake {
            path = rootDir.resolve("native/CMakeLists.txt")
            version = version("cmake")
        }
    }

    sourceSets["main"].jniLibs.srcDir(prebuilt.resolve("onnxruntime/lib"))

    buildTypes {
        release {
            // Not for a shop: signed so that it can be installed as it is.
            signingConfig = signingConfigs["debug"]
            isMinifyEnabled = false
        }
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }
}

kotlin {
    compilerOptions {
        allWarningsAsErrors = true
        jvmTarget = org.jetbrains.kotlin.gradle.dsl.JvmTarget.JVM_11
    }
}

dependencies {
    implementation(project(":core"))
}
