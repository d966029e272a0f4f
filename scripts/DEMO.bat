@echo off
call "%~dp0launch.bat" demo %*
exit /b %ERRORLEVEL%
