pluginManagement {
    val versions = java.util.Properties().apply { settingsDir.resolve("versions.properties").reader().use(::load) }
    repositories {
        google()
        mavenCentral()
        gradlePluginPortal()
    }
    plugins {
        id("com.android.application") version versions.getProperty("androidGradlePlugin")
        id("org.jetbrains.kotlin.android") version versions.getProperty("kotlin")
        id("org.jetbrains.kotlin.jvm") version versions.getProperty("kotlin")
    }
}

dependencyResolutionManagement {
    repositories {
        google()
        mavenCentral()
    }
}

rootProject.name = "slm-toolkit"
include(":core", ":app")
